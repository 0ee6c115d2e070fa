# SPDX-License-Identifier: Apache-2.0
"""Programs and linters that none of us wrote, and what they say about what we made. Tests ask here, never directly."""
