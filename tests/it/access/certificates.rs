//! Certificates, made by openssl for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::run;

/// An authority (`ca`) and what it signed: `server` for localhost, `client` with several names,
/// `for-servers`, `v1` of X.509 version 1; `stranger`, `p521` and `self` are signed by themselves. Each as `NAME.crt` and `NAME.key`.
#[derive(Debug)]
pub(super) struct Certificates {
    folder: PathBuf,
}

const AUTHORITY: &[&str] = &["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"];

impl Certificates {
    /// Makes them in a folder.
    pub(super) fn make(folder: &Path) -> Self {
        std::fs::write(folder.join("openssl.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        let made = Self { folder: folder.to_owned() };
        made.sign("ca", None, AUTHORITY);
        made.server("server");
        let names = "subjectAltName=DNS:scraper.example.com,email:ops@example.com,IP:192.0.2.1,\
                     URI:spiffe://example.com/prometheus";
        made.sign("client", Some("ca"), &[names, "extendedKeyUsage=clientAuth"]);
        made.sign("for-servers", Some("ca"), &["extendedKeyUsage=serverAuth"]);
        made.sign("stranger", None, AUTHORITY);
        made.sign(
            "self",
            None,
            &["basicConstraints=critical,CA:TRUE", "subjectAltName=DNS:self.example.com"],
        );
        made.openssl(
            "req -x509 -config openssl.cnf -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-521 \
             -subj /CN=p521 -keyout p521.key -out p521.crt",
        );
        made.openssl("req -new -config openssl.cnf -key server.key -subj /CN=v1 -out v1.csr");
        made.openssl("x509 -req -in v1.csr -CA ca.crt -CAkey ca.key -out v1.crt");
        std::fs::copy(folder.join("server.key"), folder.join("v1.key")).unwrap();
        made
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(&self.folder).args(arguments.split(' '));
        let finished = run(command);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }

    /// Another certificate for localhost under this name.
    pub(super) fn server(&self, name: &str) {
        self.sign(name, Some("ca"), &["subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    }

    fn sign(&self, name: &str, authority: Option<&str>, extensions: &[&str]) {
        let mut arguments = format!(
            "req -x509 -config openssl.cnf -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
             -subj /CN={name} -keyout {name}.key -out {name}.crt"
        );
        if let Some(authority) = authority {
            arguments += &format!(
                " -CA {authority}.crt -CAkey {authority}.key -addext basicConstraints=critical,CA:FALSE"
            );
        }
        for extension in extensions {
            arguments += &format!(" -addext {extension}");
        }
        self.openssl(&arguments);
    }

    /// The path of one of the files, as a text for a command line.
    pub(super) fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// Puts one pair in the place of another.
    pub(super) fn rename(&self, from: &str, to: &str) {
        for kind in ["key", "crt"] {
            let [from, to] = [from, to].map(|name| self.folder.join(format!("{name}.{kind}")));
            std::fs::rename(from, to).unwrap();
        }
    }

    /// curl's arguments to show a certificate.
    pub(super) fn shown(&self, name: &str) -> [String; 4] {
        let [certificate, key] = ["crt", "key"].map(|kind| self.path(&format!("{name}.{kind}")));
        ["--cert".to_owned(), certificate, "--key".to_owned(), key]
    }
}
