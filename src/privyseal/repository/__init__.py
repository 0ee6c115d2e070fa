# SPDX-License-Identifier: Apache-2.0
"""Publication to directories as reconciliation: observe, plan, apply, prove. Reaches a directory through ports only."""
