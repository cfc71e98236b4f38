//! Debian's slapd in a folder of the test, on ports of its own: an OpenLDAP, or one that looks like an Active Directory
//! as far as it is asked.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

use crate::addresses;
use crate::daemon::Daemon;
use crate::installation::PASSWORD;

/// Everything is below it.
pub const BASE: &str = "dc=tern,dc=test";
/// Who may read and write everything; the password is [`PASSWORD`].
pub const ROOT: &str = "cn=root,dc=tern,dc=test";

/// What a schema of Active Directory has that sources are asked for.
const ACTIVE_DIRECTORY: &str = "
attributetype ( 1.3.6.1.4.1.55555.1 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.3 NAME 'uSNChanged' EQUALITY integerMatch ORDERING integerOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.4 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.5 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.6 NAME 'objectCategory' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.7 NAME 'highestCommittedUSN' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.8 NAME 'dsServiceName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.55555.20 NAME 'user' SUP inetOrgPerson STRUCTURAL MAY ( sAMAccountName $ objectGUID $ uSNChanged $ userAccountControl $ proxyAddresses $ objectCategory ) )
objectclass ( 1.3.6.1.4.1.55555.21 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( sAMAccountName $ objectGUID $ uSNChanged $ member $ mail $ displayName ) )
";

/// A running one. It ends when it is dropped.
pub struct Slapd {
    daemon: Daemon,
    port: u16,
    tls_port: u16,
    /// The certificate that it shows, PEM; it names `localhost`.
    pub certificate: String,
    is_active_directory: bool,
}

impl Slapd {
    /// An OpenLDAP with nothing but the base.
    pub fn start() -> Self {
        Self::new(false)
    }

    /// One that looks like an Active Directory.
    pub fn active_directory() -> Self {
        Self::new(true)
    }

    fn new(is_active_directory: bool) -> Self {
        let daemon = Daemon::new("slapd");
        let [port, tls_port] = addresses::free(Ipv4Addr::LOCALHOST).map(|free| free.port());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let folder = daemon.folder();
        fs::write(folder.join("certificate.pem"), &certificate).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::create_dir(folder.join("data")).unwrap();
        fs::write(folder.join("ad.schema"), ACTIVE_DIRECTORY).unwrap();
        let mut slapd = Slapd { daemon, port, tls_port, certificate, is_active_directory };
        slapd.write_configuration(100);
        slapd.serve();
        slapd.add(&format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Terns\ndc: tern\n"));
        slapd
    }

    fn write_configuration(&self, usn: u64) {
        let folder = self.daemon.folder().display();
        let mut config = String::new();
        for schema in ["core", "cosine", "nis", "inetorgperson"] {
            let _ = writeln!(config, "include /etc/ldap/schema/{schema}.schema");
        }
        if self.is_active_directory {
            let root = format!("dn:\nhighestCommittedUSN: {usn}\ndsServiceName: CN=DC1,CN=Sites,{BASE}\n");
            fs::write(self.daemon.folder().join("root.ldif"), root).unwrap();
            let _ = writeln!(config, "include {folder}/ad.schema\nrootDSE {folder}/root.ldif");
        }
        let _ = write!(
            config,
            "modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/slapd.pid\nargsfile {folder}/slapd.args\n\
             TLSCertificateFile {folder}/certificate.pem\nTLSCertificateKeyFile {folder}/key.pem\n\
             database mdb\nmaxsize 104857600\nsuffix \"{BASE}\"\nrootdn \"{ROOT}\"\nrootpw \"{PASSWORD}\"\n\
             directory {folder}/data\nindex objectClass eq\n"
        );
        fs::write(self.daemon.folder().join("slapd.conf"), config).unwrap();
    }

    /// Where it listens without TLS.
    pub fn url(&self) -> String {
        format!("ldap://localhost:{}", self.port)
    }

    /// Where it listens with TLS.
    pub fn tls_url(&self) -> String {
        format!("ldaps://localhost:{}", self.tls_port)
    }

    /// Starts it again after [`Slapd::stop`].
    ///
    /// # Panics
    /// When it doesn't begin.
    pub fn serve(&mut self) {
        let urls = format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.port, self.tls_port);
        let mut command = Command::new("/usr/sbin/slapd");
        command.arg("-f").arg(self.daemon.folder().join("slapd.conf")).args(["-d", "0", "-h", &urls]);
        let port = self.port;
        self.daemon.start(&mut command, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    }

    /// Ends it; what it has stays.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Says, as an Active Directory does, up to where it counted. It is started again for it.
    pub fn count_to(&mut self, usn: u64) {
        self.stop();
        self.write_configuration(usn);
        self.serve();
    }

    /// Adds entries, in LDIF.
    ///
    /// # Panics
    /// When it refuses.
    pub fn add(&self, ldif: &str) {
        self.tool("ldapadd", &[], ldif);
    }

    /// Changes entries, in LDIF.
    ///
    /// # Panics
    /// When it refuses.
    pub fn modify(&self, ldif: &str) {
        self.tool("ldapmodify", &[], ldif);
    }

    /// Deletes an entry.
    ///
    /// # Panics
    /// When it refuses.
    pub fn delete(&self, dn: &str) {
        self.tool("ldapdelete", &[dn], "");
    }

    /// Somebody who logs in with [`PASSWORD`].
    pub fn person(&self, uid: &str, name: &str) {
        self.add(&format!(
            "dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {name}\nsn: {name}\n\
             mail: {uid}@tern.test\nuserPassword: {PASSWORD}\n"
        ));
    }

    fn tool(&self, program: &str, arguments: &[&str], input: &str) {
        let mut command = Command::new(program);
        command.args(["-x", "-H", &self.url(), "-D", ROOT, "-w", PASSWORD]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    }
}
