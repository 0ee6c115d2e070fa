# SPDX-License-Identifier: Apache-2.0
"""The REST API: one table of operations drives routing, permission, checks and the OpenAPI document."""
