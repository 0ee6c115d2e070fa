# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the product as frozen values. Nothing here acts."""
