//! PKCS#12 bundles (RFC 7292): one key, its certificate and the CAs above it, under one password.
