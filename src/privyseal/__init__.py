# SPDX-License-Identifier: Apache-2.0
"""Privyseal: a self-hosted PKI that says what is wrong, why, and how to mend it."""

__version__ = "0.1.0"
