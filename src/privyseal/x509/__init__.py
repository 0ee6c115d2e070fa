# SPDX-License-Identifier: Apache-2.0
"""X.509 as values and bytes: names, extensions, requests, keys, lints. No I/O, no clock."""
