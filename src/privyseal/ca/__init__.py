# SPDX-License-Identifier: Apache-2.0
"""Issuing CA: the one road to a signature (RFC 3647 sections 4.3 and 6). Knows no protocol."""
