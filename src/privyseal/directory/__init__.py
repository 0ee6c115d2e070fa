# SPDX-License-Identifier: Apache-2.0
"""What Active Directory holds about CAs and accounts: names, plans, classifications. Pure: no LDAP here."""
