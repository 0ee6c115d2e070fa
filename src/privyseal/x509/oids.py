# SPDX-License-Identifier: Apache-2.0
"""Every object identifier that Privyseal reads or writes, once, with the document that defines it."""

from __future__ import annotations

from typing import Final

# --- attribute types of names (X.520; RFC 4519; RFC 2985; RFC 5280 appendix A) ---
COMMON_NAME: Final = "2.5.4.3"
SURNAME: Final = "2.5.4.4"
SERIAL_NUMBER: Final = "2.5.4.5"
COUNTRY: Final = "2.5.4.6"
LOCALITY: Final = "2.5.4.7"
STATE: Final = "2.5.4.8"
STREET: Final = "2.5.4.9"
ORGANIZATION: Final = "2.5.4.10"
ORGANIZATIONAL_UNIT: Final = "2.5.4.11"
TITLE: Final = "2.5.4.12"
GIVEN_NAME: Final = "2.5.4.42"
USER_ID: Final = "0.9.2342.19200300.100.1.1"
DOMAIN_COMPONENT: Final = "0.9.2342.19200300.100.1.25"
EMAIL_ADDRESS: Final = "1.2.840.113549.1.9.1"

# --- certificate and CRL extensions (RFC 5280 sections 4.2 and 5.2) ---
SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"
KEY_USAGE: Final = "2.5.29.15"
SUBJECT_ALT_NAME: Final = "2.5.29.17"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
NAME_CONSTRAINTS: Final = "2.5.29.30"
CERTIFICATE_POLICIES: Final = "2.5.29.32"
POLICY_MAPPINGS: Final = "2.5.29.33"
POLICY_CONSTRAINTS: Final = "2.5.29.36"
INHIBIT_ANY_POLICY: Final = "2.5.29.54"
CRL_NUMBER: Final = "2.5.29.20"
CRL_REASON: Final = "2.5.29.21"
INVALIDITY_DATE: Final = "2.5.29.24"
DELTA_CRL_INDICATOR: Final = "2.5.29.27"
ISSUING_DISTRIBUTION_POINT: Final = "2.5.29.28"
CRL_DISTRIBUTION_POINTS: Final = "2.5.29.31"
AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
EXT_KEY_USAGE: Final = "2.5.29.37"
FRESHEST_CRL: Final = "2.5.29.46"
AUTHORITY_INFO_ACCESS: Final = "1.3.6.1.5.5.7.1.1"
OCSP_NO_CHECK: Final = "1.3.6.1.5.5.7.48.1.5"  # RFC 6960 4.2.2.2.1
OCSP_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"  # RFC 9654
OCSP_BASIC: Final = "1.3.6.1.5.5.7.48.1.1"  # RFC 6960 4.2.1
AIA_OCSP: Final = "1.3.6.1.5.5.7.48.1"
AIA_CA_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"

# --- extended key usages ---
ANY_EXTENDED_KEY_USAGE: Final = "2.5.29.37.0"
EKU_SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
EKU_CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
EKU_EMAIL_PROTECTION: Final = "1.3.6.1.5.5.7.3.4"
EKU_IPSEC_IKE: Final = "1.3.6.1.5.5.7.3.17"  # RFC 4945
EKU_IKE_INTERMEDIATE: Final = "1.3.6.1.5.5.8.2.2"  # drafts before RFC 4945; clients still ask for it
EKU_OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
EKU_PKINIT_CLIENT: Final = "1.3.6.1.5.2.3.4"  # RFC 4556
EKU_KDC: Final = "1.3.6.1.5.2.3.5"  # RFC 4556
EKU_SMARTCARD_LOGON: Final = "1.3.6.1.4.1.311.20.2.2"  # MS-WCCE
EKU_CERTIFICATE_REQUEST_AGENT: Final = "1.3.6.1.4.1.311.20.2.1"  # MS-WCCE
ANY_APPLICATION_POLICY: Final = "1.3.6.1.4.1.311.10.12.1"  # MS-CRTD: every purpose, for Windows

# --- Microsoft ---
NTDS_CA_SECURITY_EXT: Final = "1.3.6.1.4.1.311.25.2"  # MS-WCCE 2.2.2.7.7.4: the SID extension
NTDS_OBJECTSID: Final = "1.3.6.1.4.1.311.25.2.1"
UPN: Final = "1.3.6.1.4.1.311.20.2.3"  # otherName userPrincipalName
KPN: Final = "1.3.6.1.5.2.2"  # otherName id-pkinit-san, RFC 4556
MS_ENROLL_CERTTYPE: Final = "1.3.6.1.4.1.311.20.2"  # template name, V1
MS_CERTIFICATE_TEMPLATE: Final = "1.3.6.1.4.1.311.21.7"  # template information, V2
MS_ENROLLMENT_NAME_VALUE_PAIR: Final = "1.3.6.1.4.1.311.13.2.1"
MS_CERT_EXTENSIONS: Final = "1.3.6.1.4.1.311.2.1.14"  # szOID_CERT_EXTENSIONS, Microsoft's extensionRequest

# --- PKCS#9 attributes (RFC 2985, RFC 5652) ---
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
CHALLENGE_PASSWORD: Final = "1.2.840.113549.1.9.7"
EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"

# --- CMS (RFC 5652) ---
CMS_DATA: Final = "1.2.840.113549.1.7.1"
CMS_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
CMS_ENVELOPED_DATA: Final = "1.2.840.113549.1.7.3"

# --- SCEP attributes (RFC 8894 3.2.1) ---
SCEP_MESSAGE_TYPE: Final = "2.16.840.1.113733.1.9.2"
SCEP_PKI_STATUS: Final = "2.16.840.1.113733.1.9.3"
SCEP_FAIL_INFO: Final = "2.16.840.1.113733.1.9.4"
SCEP_SENDER_NONCE: Final = "2.16.840.1.113733.1.9.5"
SCEP_RECIPIENT_NONCE: Final = "2.16.840.1.113733.1.9.6"
SCEP_TRANSACTION_ID: Final = "2.16.840.1.113733.1.9.7"
SCEP_FAIL_INFO_TEXT: Final = "1.3.6.1.5.5.7.24.1"

# --- algorithms ---
RSA_ENCRYPTION: Final = "1.2.840.113549.1.1.1"
RSA_OAEP: Final = "1.2.840.113549.1.1.7"  # RFC 4055
MGF1: Final = "1.2.840.113549.1.1.8"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
MD5_WITH_RSA: Final = "1.2.840.113549.1.1.4"
SHA1_WITH_RSA: Final = "1.2.840.113549.1.1.5"
SHA256_WITH_RSA: Final = "1.2.840.113549.1.1.11"
SHA384_WITH_RSA: Final = "1.2.840.113549.1.1.12"
SHA512_WITH_RSA: Final = "1.2.840.113549.1.1.13"
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
SECP256R1: Final = "1.2.840.10045.3.1.7"
SECP384R1: Final = "1.3.132.0.34"
SECP521R1: Final = "1.3.132.0.35"
ECDSA_WITH_SHA1: Final = "1.2.840.10045.4.1"
ECDSA_WITH_SHA256: Final = "1.2.840.10045.4.3.2"
ECDSA_WITH_SHA384: Final = "1.2.840.10045.4.3.3"
ECDSA_WITH_SHA512: Final = "1.2.840.10045.4.3.4"
ED25519: Final = "1.3.101.112"  # RFC 8410
MD5: Final = "1.2.840.113549.2.5"
SHA1: Final = "1.3.14.3.2.26"
SHA224: Final = "2.16.840.1.101.3.4.2.4"
SHA256: Final = "2.16.840.1.101.3.4.2.1"
SHA384: Final = "2.16.840.1.101.3.4.2.2"
SHA512: Final = "2.16.840.1.101.3.4.2.3"
DES_CBC: Final = "1.3.14.3.2.7"
DES_EDE3_CBC: Final = "1.2.840.113549.3.7"
AES_128_CBC: Final = "2.16.840.1.101.3.4.1.2"
AES_192_CBC: Final = "2.16.840.1.101.3.4.1.22"
AES_256_CBC: Final = "2.16.840.1.101.3.4.1.42"
