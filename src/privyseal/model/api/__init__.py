# SPDX-License-Identifier: Apache-2.0
"""What the REST API says and is told, as values that server and client share."""
