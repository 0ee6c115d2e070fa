# SPDX-License-Identifier: Apache-2.0
"""The hash chain that makes the audit trail tell when somebody cut it."""
