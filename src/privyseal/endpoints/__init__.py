# SPDX-License-Identifier: Apache-2.0
"""HTTP edges: bytes in, one mapping table from errors to answers, bytes out."""
