# SPDX-License-Identifier: Apache-2.0
"""SCEP, RFC 8894: messages and their encoding. The caller owns keys, clock and network."""
