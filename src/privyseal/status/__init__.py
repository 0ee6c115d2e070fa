# SPDX-License-Identifier: Apache-2.0
"""Certificate status: revocation and its publication (RFC 3647 sections 4.9 and 4.10)."""
