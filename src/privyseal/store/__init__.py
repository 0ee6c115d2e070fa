# SPDX-License-Identifier: Apache-2.0
"""The store: everything that must outlive a power cut, in one database."""
