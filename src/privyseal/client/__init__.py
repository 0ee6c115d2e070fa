# SPDX-License-Identifier: Apache-2.0
"""The typed client of the administration API; the command line is its first user. Knows HTTP, knows no store."""
