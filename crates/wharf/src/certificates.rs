//! The local certificate authority of one machine, and the certificate it gives the controller.
//!
//! The authority lives ten years in the data directory; the controller's certificate is made anew at each start,
//! so a changed service domain needs no ceremony.

use crate::secrets::{read_if_there, write_private};
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use std::sync::Arc;

/// A TLS server configuration with a certificate for `names`, from the authority in `data`.
pub(crate) fn server_config(data: &Path, names: Vec<String>) -> Result<Arc<rustls::ServerConfig>> {
    let (authority_pem, authority_key) = load_or_make_authority(data)?;
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, authority_key)
        .context("read the local certificate authority (ca.pem)")?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Wharf on this machine");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, 2);
    let certificate = params.signed_by(&key, &issuer)?;
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn load_or_make_authority(data: &Path) -> Result<(String, KeyPair)> {
    let (certificate_path, key_path) = (data.join("ca.pem"), data.join("ca-key.pem"));
    if let (Some(certificate), Some(key)) =
        (read_if_there(&certificate_path)?, read_if_there(&key_path)?)
    {
        let key =
            KeyPair::from_pem(&key).with_context(|| format!("read {}", key_path.display()))?;
        return Ok((certificate, key));
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Wharf local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, 10);
    let certificate = params.self_signed(&key)?.pem();
    write_private(&key_path, key.serialize_pem().as_bytes())?;
    write_private(&certificate_path, certificate.as_bytes())?;
    Ok((certificate, key))
}

/// From the start of last year for some years: whole years, so that a clock a little off does no harm.
fn set_validity(params: &mut CertificateParams, years: i32) {
    let year = i32::from(jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).year());
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + years, 1, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_while_certificates_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        server_config(dir.path(), vec!["localhost".to_owned()]).unwrap();
        let first = std::fs::read_to_string(dir.path().join("ca.pem")).unwrap();
        server_config(
            dir.path(),
            vec!["localhost".to_owned(), "*.containers.localhost".to_owned()],
        )
        .unwrap();
        assert_eq!(first, std::fs::read_to_string(dir.path().join("ca.pem")).unwrap());
    }
}
