//! `wharf env`: shell exports that point Arvados clients here.

use config::ApiAccess;

use super::show::shell_word;
use crate::context::Context;
use crate::output;

pub(crate) fn env(context: &Context) -> anyhow::Result<()> {
    output::print(&exports(&context.access))?;
    Ok(())
}

/// The certificate of a local instance is its own. `SSL_CERT_FILE` could name it, but would hide
/// every other root from every other program of the shell; on loopback there is nobody in between.
fn exports(access: &ApiAccess) -> String {
    let host = shell_word(&access.api_host);
    let token = shell_word(&access.token.expose());
    let mut text = format!("export ARVADOS_API_HOST={host}\nexport ARVADOS_API_TOKEN={token}\n");
    if access.insecure || is_loopback(&access.api_host) {
        text.push_str("export ARVADOS_API_HOST_INSECURE=1\n");
    } else {
        text.push_str("unset ARVADOS_API_HOST_INSECURE\n");
    }
    text
}

fn is_loopback(api_host: &str) -> bool {
    let host = match api_host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => api_host,
    };
    let host = host.trim_matches(['[', ']']);
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ApiToken;

    #[test]
    fn a_local_instance_needs_no_certificate_and_another_does() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
        let token = format!("v2/wharf-gj3su-0123456789abcde/{secret}");
        let check = |host: &str, last: &str| {
            let access = ApiAccess {
                base_url: format!("https://{host}"),
                api_host: host.to_owned(),
                token: ApiToken::parse(&token).unwrap(),
                ca_file: None,
                insecure: false,
            };
            let expected = format!(
                "export ARVADOS_API_HOST={host}\nexport ARVADOS_API_TOKEN={token}\n{last}\n"
            );
            assert_eq!(exports(&access), expected);
        };
        check("localhost:8000", "export ARVADOS_API_HOST_INSECURE=1");
        check("127.0.0.1:8000", "export ARVADOS_API_HOST_INSECURE=1");
        check("wharf.example.com", "unset ARVADOS_API_HOST_INSECURE");
    }
}
