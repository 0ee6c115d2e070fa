# SPDX-License-Identifier: Apache-2.0
"""Registration authority: who asks, may they, for what (RFC 3647 sections 3, 4.1 and 4.2)."""
