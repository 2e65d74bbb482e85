//! The flags of every command, spelt as Prometheus and its exporters spell them.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::{Accounts, Config, Faults, Loaded, LogFormat, Overrides, Sockets, Sources, values};

/// Flags that stand before or after any command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Flags of every command")]
pub struct Flags {
    /// Configuration file; without one, the environment describes one account
    #[arg(long = "config.file", value_name = "FILE", global = true)]
    pub config_file: Option<PathBuf>,
    /// Address to listen on, such as 127.0.0.1:10043 or :10043; may be repeated [default: 127.0.0.1:10043]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", global = true, value_parser = values::listen_address)]
    pub listen_address: Vec<SocketAddr>,
    /// Path of the metrics [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", global = true, value_parser = values::telemetry_path)]
    pub telemetry_path: Option<String>,
    /// TLS, passwords and headers of the listeners, in the format of the Prometheus exporter toolkit
    #[arg(long = "web.config.file", value_name = "FILE", global = true)]
    pub web_config_file: Option<PathBuf>,
    /// Serve on the sockets that systemd passes instead of opening some
    #[arg(long = "web.systemd-socket", global = true)]
    pub systemd_socket: bool,
    /// Let POST /-/reload apply a changed configuration; SIGHUP does so without it
    #[arg(long = "web.enable-lifecycle", global = true)]
    pub enable_lifecycle: bool,
    /// The store's file [default: data/exotel-exporter.redb]
    #[arg(long = "store.path", value_name = "FILE", global = true)]
    pub store_path: Option<PathBuf>,
    /// How much to log: error, warn, info, debug or trace [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", global = true, value_parser = values::log_level)]
    pub log_level: Option<tracing::Level>,
    /// Shape of log lines: logfmt or json [default: logfmt]
    #[arg(long = "log.format", value_name = "FORMAT", global = true, value_parser = values::log_format)]
    pub log_format: Option<LogFormat>,
    /// Print version and build, and leave
    #[arg(long = "version", global = true)]
    pub version: bool,
}

impl Flags {
    /// Reads the settings: these flags, the process's environment, the file, the defaults.
    ///
    /// # Errors
    /// Every fault of every source.
    pub fn load(&self, accounts: Accounts) -> Result<Loaded, Faults> {
        Config::load(&Sources {
            file: self.config_file.as_deref(),
            env: &|name| std::env::var_os(name),
            flags: &self.overrides(),
            accounts,
        })
    }

    /// What these flags say about settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen_address.clone(),
            telemetry_path: self.telemetry_path.clone(),
            web_config_file: self.web_config_file.clone(),
            enable_lifecycle: self.enable_lifecycle,
            sockets: if self.systemd_socket { Sockets::Systemd } else { Sockets::Own },
            store_path: self.store_path.clone(),
            log_level: self.log_level,
            log_format: self.log_format,
        }
    }
}

/// Whether an argument is `--web.listen-address`, with its value or before it.
pub(super) fn is_listen_address(arg: &OsStr) -> bool {
    let arg = arg.to_string_lossy();
    arg.strip_prefix("--web.listen-address").is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}
