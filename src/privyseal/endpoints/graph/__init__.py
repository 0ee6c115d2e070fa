# SPDX-License-Identifier: Apache-2.0
"""What scripts for Cloud PKI expect of Microsoft Graph, over our CAs; it goes over the same desk as everything."""
