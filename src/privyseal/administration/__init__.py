# SPDX-License-Identifier: Apache-2.0
"""What administrators do: acts with a preview, a permission and, where it matters, a second person."""
