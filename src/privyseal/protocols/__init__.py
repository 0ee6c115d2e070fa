# SPDX-License-Identifier: Apache-2.0
"""Wire formats: bytes -> frozen values -> bytes. No I/O, no clock, no randomness of their own."""
