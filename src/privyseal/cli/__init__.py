# SPDX-License-Identifier: Apache-2.0
"""The command line: an argument tree over the application, nothing more."""
