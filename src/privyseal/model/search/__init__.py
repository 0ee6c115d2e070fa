# SPDX-License-Identifier: Apache-2.0
"""The search language of the inventory: one text for command line, API and console; pure."""
