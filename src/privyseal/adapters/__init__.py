# SPDX-License-Identifier: Apache-2.0
"""Implementations of ports that touch the outside: keys on disk, clock, randomness, HTTP."""
