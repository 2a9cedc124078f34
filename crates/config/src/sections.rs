//! The sections of the config. A field's doc comment is its meaning and the reason for its default.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use model::ServiceDomain;
use serde_json::Value;

use crate::database_url::DatabaseUrl;
use crate::secret::Secret;
use crate::setting::{Setting, settings};
use crate::template::Template;
use crate::units::ByteSize;
use crate::web_origin::WebOrigin;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where clients find us.
#[derive(Clone, Debug)]
pub struct Services {
    /// `Services.Controller.ExternalURL`: the API's and the dashboard's address, with a trailing slash.
    pub controller_url: String,
    /// `Services.ContainerWebServices.ExternalURL`: the pattern of service hosts.
    pub service_domain: ServiceDomain,
    /// `Services.ContainerWebServices.ExternalPortMin`..`Max`, both inclusive; for sites without a wildcard name.
    pub external_ports: Option<(u16, u16)>,
    /// `Services.ContainerWebServices.AllowUnpublishedPorts`: ports nobody published are reachable as private.
    pub allow_unpublished_ports: bool,
}

settings! {
    /// Where the records are.
    pub struct Database {
        /// A PostgreSQL database, as postgres://user:password@host:5432/name; null for the file wharf.db in DataDir. The password is not shown.
        "URL" url: Option<DatabaseUrl> = None;
        /// Connections of this process that read at the same time, beside one that writes and one that hears of changes; more than the cores of a database bring nothing.
        "ReadConnections" read_connections: u32 = 4, 1 => 1000;
    }
}

settings! {
    /// What containers on this machine may use.
    pub struct Containers {
        /// Containers that run at the same time; each costs a supervisor of some 10 MiB, and more than this points at a loop that submits.
        "MaxContainers" max_running: u32 = 256, 1 => 100_000;
        /// RAM that all containers together may ask for; 0 means all that the machine has.
        "RAM" ram: ByteSize = ByteSize::bytes(0);
        /// Virtual CPUs that all containers together may ask for; 0 means all that the machine has.
        "VCPUs" vcpus: u32 = 0;
        /// Factor on RAM when containers are admitted; 1 because memory that is promised twice ends in the kernel's killer.
        "RAMOvercommit" ram_overcommit: f64 = 1.0, 0.1 => 100.0;
        /// Factor on VCPUs when containers are admitted; services mostly wait, and too little CPU only makes them slower.
        "VCPUOvercommit" vcpu_overcommit: f64 = 8.0, 0.1 => 1000.0;
        /// Part of RAM that workflow runners may have together; with all of it, nothing that they submit would begin.
        "SupervisorFraction" supervisor_fraction: f64 = 0.5, 0.01 => 1.0;
        /// Factor on the free disk when containers are admitted: their `tmp` mounts may ask for so much. More where they ask for more than they write.
        "ScratchOvercommit" scratch_overcommit: f64 = 1.0, 0.1 => 1000.0;
        /// Time between SIGTERM and SIGKILL; what container tools give, and editors need to save.
        "StopGrace" stop_grace: Duration = 10 * SECOND, Duration::ZERO => HOUR;
        /// Log kept of one container, per stream; what comes after it is counted and dropped, so that a chatty service cannot fill the disk.
        "LogBytesMax" log_bytes_max: ByteSize = ByteSize::mib(64), ByteSize::kib(64) => ByteSize::gib(1024);
        /// Time between looks at everything, should an event have been lost; looking costs one query.
        "ReconcileInterval" reconcile_interval: Duration = 10 * SECOND, SECOND => HOUR;
        /// Files of collections kept on this machine for the next container that reads them; what running containers read stays in any case.
        "InputCacheBytes" input_cache_bytes: ByteSize = ByteSize::gib(64), ByteSize::bytes(0) => ByteSize::gib(1 << 20);
        /// Directories of this machine that containers may mount, with all below them; none by default, since the server's rights are used.
        "BindMounts" bind_mounts: Vec<PathBuf> = Vec::new();
        /// Whether every user may use BindMounts, and not only administrators.
        "BindMountsForAll" bind_mounts_for_all: bool = false;
        /// Whether every user may use images that an administrator imports or pulls: they belong to the project "Images of the site", which all users can read. Off, they are the administrator's, to share or not.
        "ImagesForAll" images_for_all: bool = true;
    }
}

settings! {
    /// How long services live. What a request says of max_run_time and idle_time is in its scheduling_parameters.
    pub struct Lifetimes {
        /// Time that a service may run where its request does not say; none by default, since whoever did not ask for an end loses work by it. 0s is no limit.
        "MaxRunTime" max_run_time: Duration = Duration::ZERO, Duration::ZERO => 3650 * DAY;
        /// The longest that a request may ask for, and what one gets that asks for no limit. 0s is no limit.
        "MaxRunTimeLimit" max_run_time_limit: Duration = Duration::ZERO, Duration::ZERO => 3650 * DAY;
        /// Time after which a service that nobody uses is stopped where its request does not say; none by default. 0s is never.
        "IdleTime" idle_time: Duration = Duration::ZERO, Duration::ZERO => 3650 * DAY;
        /// The longest that a request may ask for, and what one gets that asks to be left alone. 0s is no limit.
        "IdleTimeLimit" idle_time_limit: Duration = Duration::ZERO, Duration::ZERO => 3650 * DAY;
        /// How long before its end it is told, on the record, in the log and on the pages; time to come back from a break. Of a limit that is shorter than four times this, a quarter.
        "WarnBefore" warn_before: Duration = 10 * MINUTE, Duration::ZERO => DAY;
        /// Time between notes of one service's use, and between looks at whether it works by itself; a service that is used costs a small write as often. Services that nobody uses are stopped by up to twice this late, never early.
        "UseInterval" use_interval: Duration = 30 * SECOND, SECOND => HOUR;
    }
}

settings! {
    /// Limits of the API.
    pub struct Api {
        /// Body of one API call; records are small, and Arvados has the same limit.
        "MaxRequestSize" body_bytes_max: ByteSize = ByteSize::mib(128), ByteSize::kib(64) => ByteSize::gib(4);
        /// Size of one imported image archive; large scientific images reach some tens of GiB.
        "MaxImageSize" image_bytes_max: ByteSize = ByteSize::gib(64), ByteSize::mib(1) => ByteSize::gib(1 << 20);
        /// Calls, pages and event streams that are open at once; each costs some 10 KiB, and no address gets more than are still free.
        "MaxOpenRequests" open_requests_max: u32 = 2000, 10 => 1_000_000;
        /// Calls and pages that one address may ask for in a second, with two seconds' worth at once; a laboratory's scripts behind one address stay far below. 0 is no limit.
        "RequestsPerSecond" requests_per_second: u32 = 2000;
        /// Sockets on which clients are told of events at once; each costs some 50 KiB, and one query for each change while it is open. Pages and mounts have one each.
        "MaxEventSockets" event_sockets_max: u32 = 1000, 1 => 100_000;
        /// Tokens and codes that do not hold, of one address, in a second, with ten seconds' worth at once; further ones are refused after Proxy.RefusalDelay. Scripts with an expired token try again less often. 0 is no limit.
        "MissesPerSecond" misses_per_second: u32 = 20;
    }
}

settings! {
    /// Shells in containers: `wharf shell`, and terminals on the pages of services.
    pub struct Terminals {
        /// Whether there are any; those that are open stay until they end.
        "Enabled" enabled: bool = true;
        /// Shells of one container at once; each is a process of the container and counts toward its limits.
        "MaxPerContainer" per_container_max: u32 = 8, 1 => 64;
        /// Shells that one user has open at once, in all containers together and in each controller; each costs some 100 KiB here and up to 400 KiB in its supervisor.
        "MaxPerUser" per_user_max: u32 = 32, 1 => 10_000;
        /// How long a shell with a terminal stays when its client is gone: a page that is loaded again, a controller that is replaced and a laptop that was shut find it as it was. Then it gets SIGHUP.
        "KeepDetached" keep_detached: Duration = 5 * MINUTE, Duration::ZERO => DAY;
    }
}

settings! {
    /// Collections, and the blocks that they consist of.
    pub struct Collections {
        /// Whether blocks can be read only by whoever got a signed locator: from a collection that they may read, or by storing the block. Without it, who knows a block's hash may read it.
        "BlobSigning" blob_signing: bool = true;
        /// How long such a signature holds; a workflow may run for days between reading a collection and its files. Blocks that nothing refers to are kept as long.
        "BlobSigningTTL" blob_signing_ttl: Duration = 14 * DAY, HOUR => 365 * DAY;
        /// Time between sweeps of blocks that nothing refers to; one reads every manifest and lists every block.
        "BlobSweepInterval" blob_sweep_interval: Duration = 6 * HOUR, SECOND => 30 * DAY;
        /// Time that swept blocks lie in the trash before they are deleted; time to notice that something is missing.
        "BlobTrashLifetime" blob_trash_lifetime: Duration = 14 * DAY, Duration::ZERO => 365 * DAY;
        /// Copies that a block gets where its writer does not say, on different volumes; clients are told to ask for as many. One is what a single volume gives.
        "DefaultReplication" default_replication: u32 = 1, 1 => 10;
        /// Copies that a block in the data directory counts as where no Volumes are named. One is kept; old clients ask for two unless told otherwise, and refuse to go on with fewer, so say less only where they know.
        "BlobReplication" blob_replication: u32 = 2, 1 => 10;
        /// Blocks that are read and written at once, each with a buffer of 1 MiB; more than disks and cores can serve wait their turn.
        "BlockBuffers" block_buffers: u32 = 128, 1 => 100_000;
        /// How long a block waits for its buffer before its client is told to try again.
        "BlockBufferTimeout" block_buffer_timeout: Duration = 30 * SECOND, SECOND => HOUR;
        /// Whether old versions of collections are kept.
        "CollectionVersioning" collection_versioning: bool = true;
        /// A version that nobody changed for so long is kept when the next one comes; quick changes one after another are one.
        "PreserveVersionIfIdle" preserve_version_if_idle: Duration = 10 * SECOND, Duration::ZERO => 365 * DAY;
        /// Time that a collection lies in the trash before it is deleted, at least BlobSigningTTL; Arvados has two weeks too.
        "DefaultTrashLifetime" default_trash_lifetime: Duration = 14 * DAY, Duration::ZERO => 10 * 365 * DAY;
        /// Time between looks for collections whose time to go to the trash, or to be deleted, has come.
        "TrashSweepInterval" trash_sweep_interval: Duration = MINUTE, SECOND => DAY;
    }
}

settings! {
    /// Limits of the service hosts.
    pub struct Proxy {
        /// Addresses of proxies in front of us, which tell a client's address and scheme in X-Forwarded-For and X-Forwarded-Proto. All limits that go by address count those clients then, and not the proxy.
        "FrontProxies" front_proxies: Vec<IpAddr> = Vec::new();
        /// Connections from clients, open WebSockets included; an idle one costs 3 KiB, or 10 with TLS. The system's limit on open files bounds them too.
        "MaxConnections" connections_max: u32 = 65_536, 1 => 1_000_000;
        /// Connections of one address, which may be an office behind one; whatever this says, none gets more than are still free, so that one alone gets half of all.
        "MaxConnectionsPerAddress" connections_per_address_max: u32 = 65_536, 1 => 1_000_000;
        /// Connections that have not sent their first byte or finished their TLS handshake; honest ones take milliseconds, and none gets more than are still free.
        "MaxHandshakes" handshakes_max: u32 = 5000, 1 => 1_000_000;
        /// New connections of one address in a second, with ten seconds' worth at once, as when all pages behind one address come back after a break; a TLS handshake costs as much CPU as ten requests. 0 is no limit.
        "ConnectionsPerSecond" connections_per_second: u32 = 2000;
        /// Size of a request's head; cookies and long queries fit, and nginx stops near here too.
        "HeaderBytesMax" header_bytes_max: ByteSize = ByteSize::kib(64), ByteSize::kib(8) => ByteSize::mib(1);
        /// Time to finish a TLS handshake.
        "HandshakeTimeout" handshake_timeout: Duration = 10 * SECOND, SECOND => 5 * MINUTE;
        /// Time from the first byte of a head to its last, of a client's request and of an app's answer; slower ones hold a connection for nothing.
        "HeaderTimeout" header_timeout: Duration = 30 * SECOND, SECOND => 10 * MINUTE;
        /// Requests that one service may get in a second while another service or the API is in use, with RequestBurst's worth at once; beside a flood of so many others are served as if there were none. Alone, a service gets all there is. 0 is no limit.
        "RequestsPerSecondPerService" service_requests_per_second: u32 = 2000;
        /// Requests that one user may make to services in a second while other users make some; programs that need more than this are rare, and their administrator can raise it. 0 is no limit.
        "RequestsPerSecondPerUser" user_requests_per_second: u32 = 2000;
        /// Requests to services from one address in a second while other addresses send some, before anything is known of them; an office behind one address stays far below. 0 is no limit.
        "RequestsPerSecondPerAddress" address_requests_per_second: u32 = 2000;
        /// Time whose worth of requests may come at once; a page of some hundred parts asks for all of them in one moment, and what is over waits for its turn.
        "RequestBurst" request_burst: Duration = SECOND / 10, Duration::ZERO => MINUTE;
        /// Requests, WebSockets, event streams, calls and raw connections that are open to one service; half of MaxConnections, as one address can have no more.
        "MaxOpenPerService" service_open_max: u32 = 32_768, 1 => 1_000_000;
        /// The same of one user. A notebook's page has about ten; a user whose service many people open counts for none of them.
        "MaxOpenPerUser" user_open_max: u32 = 32_768, 1 => 1_000_000;
        /// The same from one address, those that wait for their refusal included.
        "MaxOpenPerAddress" address_open_max: u32 = 32_768, 1 => 1_000_000;
        /// Credentials that open nothing and service hosts that name nothing, of one address, in a second, with ten seconds' worth at once; who guesses needs more, pages of a service that is gone do not. 0 is no limit.
        "MissesPerSecond" misses_per_second: u32 = 20;
        /// How long a request over one of these rates is held: it is served if its turn comes meanwhile, and refused after that. A refusal at once would cost us as much as it costs who asks.
        "RefusalDelay" refusal_delay: Duration = SECOND, Duration::ZERO => MINUTE;
        /// Time that a client may take nothing of what it asked for, or send nothing of a body that it began; twice what nginx gives. Streams on which nothing is to be sent are not concerned.
        "StallTimeout" stall_timeout: Duration = 2 * MINUTE, SECOND => HOUR;
        /// Time after which a silent connection is asked whether its client is still there; what lies between forgets connections after a minute or more.
        "KeepAliveInterval" keep_alive_interval: Duration = 30 * SECOND, SECOND => HOUR;
        /// Time that the client has to say so; a phone that changes networks needs some seconds.
        "KeepAliveTimeout" keep_alive_timeout: Duration = 20 * SECOND, SECOND => HOUR;
        /// Streams that one HTTP/2 connection may have open; browsers use some ten, and RFC 9113 advises 100 at least.
        "MaxStreams" streams_max: u32 = 256, 1 => 10_000;
        /// Streams that the client of an HTTP/2 connection may reset in a second, with ten seconds' worth at once; a page that is left resets what it was loading. 0 is no limit.
        "ResetsPerSecond" resets_per_second: u32 = 100;
        /// Frames of an HTTP/2 connection that are no requests, no data and no answer to data of ours, in a second, with ten seconds' worth at once; honest clients send a few. The same counts for apps that answer gRPC calls. 0 is no limit.
        "ControlFramesPerSecond" control_frames_per_second: u32 = 1000;
        /// What a client may send ahead of the app on one HTTP/2 stream: 50 MB/s at 10 ms.
        "StreamWindow" stream_window: ByteSize = ByteSize::kib(512), ByteSize::kib(64) => ByteSize::mib(16);
        /// The same on all streams of one connection, which bounds the memory of it; so many uploads that stall leave room for others.
        "ConnectionWindow" connection_window: ByteSize = ByteSize::mib(8), ByteSize::kib(64) => ByteSize::mib(1024);
        /// Time to reach a container's port; a port on the same machine answers in a millisecond.
        "ConnectTimeout" connect_timeout: Duration = 10 * SECOND, SECOND => 5 * MINUTE;
        /// Time that an app may take to begin its answer, after which the client gets 504. 0 is no limit: long polls take as long as they take.
        "FirstByteTimeout" first_byte_timeout: Duration = Duration::ZERO, Duration::ZERO => DAY;
        /// Time an unused keep-alive connection of a client stays open; browsers reuse within a minute.
        "IdleTimeout" idle_timeout: Duration = 75 * SECOND, SECOND => HOUR;
        /// Time an unused connection to an app is kept for the next request; shorter than most servers' own limit of a minute, so that we close first.
        "UpstreamIdleTimeout" upstream_idle_timeout: Duration = 30 * SECOND, SECOND => HOUR;
        /// Unused connections kept for one caller of one port of a container; as many as a load test of a thousand connections has, since each that is missing costs a new socket inside the container for a request.
        "UpstreamIdlePerPort" upstream_idle_per_port: u32 = 1024, 1 => 100_000;
        /// Unused connections to apps kept in all; each is an open file of ours and of the app's.
        "UpstreamIdleMax" upstream_idle_max: u32 = 4096, 1 => 100_000;
        /// gRPC calls that one caller may have open to one port of a container; a client that needs more forgets to end them.
        "UpstreamStreamsMax" upstream_streams_max: u32 = 1000, 1 => 100_000;
        /// How long a decision who may open what is kept while it is unknown whether records have changed (the database is silent); some of the change feed's periods of a second, so that a busy moment does not send every request to the records.
        "GrantMaxAge" grant_age_max: Duration = 3 * SECOND, SECOND => MINUTE;
        /// What a 503 tells programs to wait; starting rarely takes longer.
        "RetryAfter" retry_after: Duration = SECOND, SECOND => HOUR;
        /// Whether supervisors on this machine hand over sockets that are connected inside the container, so that requests take one hop less; off, all traffic takes the tunnels.
        "DirectSockets" direct_sockets: bool = true;
        /// How long browsers that met the site over https are told to use nothing else (Strict-Transport-Security), for each service host, and for the dashboard's where it has a name and the usual port; only where ExternalURL is https. A year is what browsers' makers advise; 0s says nothing.
        "HSTSMaxAge" hsts_max_age: Duration = 365 * DAY, Duration::ZERO => 10 * 365 * DAY;
        /// Origins (https://portal.example.com) whose pages may use private ports with a token of their own, never with cookies; none by default, since a page that can read a service can pass on what it reads.
        "CORSOrigins" cors_origins: Vec<WebOrigin> = Vec::new();
    }
}

settings! {
    /// How supervisors reach the controller.
    pub struct Tunnels {
        /// TCP address that supervisors dial, with TLS and the secret of their launch; by default a Unix socket in the data directory, which is enough on one machine. Port 0 takes any free one, and each controller its own: an upgrade in place needs that.
        "Listen" listen: Option<SocketAddr> = None;
    }
}

settings! {
    /// How long sign-ins and tokens live.
    pub struct Sessions {
        /// A browser session with a service or the dashboard; a working day.
        "SessionLifetime" session_lifetime: Duration = 12 * HOUR, MINUTE => 365 * DAY;
        /// The token that a client gets for a name and a password; a working day.
        "PasswordTokenLifetime" password_token_lifetime: Duration = 12 * HOUR, MINUTE => 365 * DAY;
        /// Tries of a password for one user in a minute, from all addresses together and all of them at once; people mistype twice, and guessing gets nowhere.
        "PasswordTriesPerMinute" password_tries_per_minute: u32 = 10, 1 => 1000;
        /// A single-use code that opens a service; it is used by the very next click.
        "HandoffCodeLifetime" handoff_code_lifetime: Duration = MINUTE, SECOND => HOUR;
        /// An invitation to a port of a service, and the sessions that guests make with it, where its maker does not say; time for a meeting or a review.
        "InvitationLifetime" invitation_lifetime: Duration = DAY, MINUTE => 365 * DAY;
        /// The longest that one may be made for; whoever has the link gets in without an account, so it should not be forgotten.
        "InvitationLifetimeMax" invitation_lifetime_max: Duration = 30 * DAY, MINUTE => 365 * DAY;
        /// The most uses that one may be made for; a class, not the world, which a public port is for.
        "InvitationUsesMax" invitation_uses_max: u32 = 100, 1 => 100_000;
        /// The one-time link that signs in to the dashboard; time to copy it to another window.
        "SignInLinkLifetime" sign_in_link_lifetime: Duration = 10 * MINUTE, SECOND => DAY;
    }
}

settings! {
    /// Whom people who sign in are handed on to.
    pub struct Login {
        /// Origins (https://workbench.example.com) that may send people here to sign in and get a token of theirs back, as Workbench does; none by default, since such a page acts as whoever signs in.
        "TrustedClients" trusted_clients: Vec<WebOrigin> = Vec::new();
        /// Whether users who have a password may sign in with it; off where a provider shall be the only way for people.
        "Passwords" passwords: bool = true;
    }
}

settings! {
    /// A provider that people sign in with (OpenID Connect), beside passwords; keys are spelled as Arvados spells them.
    pub struct OpenIdConnect {
        /// Whether people may sign in with the provider; needs Issuer and ClientID.
        "Enable" is_enabled: bool = false;
        /// What the button says behind "Sign in with"; empty takes the host of Issuer.
        "ProviderName" provider_name: String = String::new();
        /// The provider's identifier, exactly as in its discovery document, such as https://id.example.com/realms/lab.
        "Issuer" issuer: String = String::new();
        /// What the provider calls this site. Register ExternalURL of the controller with login behind it (https://wharf.example.com/login) as its redirect URI there.
        "ClientID" client_id: String = String::new();
        /// Proves to the provider that this is the client. Better in a file of its own, ClientSecretFile.
        "ClientSecret" client_secret: Option<Secret> = None;
        /// File whose first line is the client's secret; read at every start.
        "ClientSecretFile" client_secret_file: Option<PathBuf> = None;
        /// File with the certificates (PEM) that vouch for the provider; by default the system's.
        "CAFile" ca_file: Option<PathBuf> = None;
        /// Claim with the address.
        "EmailClaim" email_claim: String = "email".to_owned();
        /// Claim that says whether the address was verified; empty where the provider verifies every address.
        "EmailVerifiedClaim" email_verified_claim: String = "email_verified".to_owned();
        /// Claim with the short name of somebody new; empty takes preferred_username, or what the address begins with.
        "UsernameClaim" username_claim: String = String::new();
        /// What is sent to the provider with each sign-in beside what must be, such as {prompt: login, hd: example.com}.
        "AuthenticationRequestParameters" parameters: BTreeMap<String, String> = BTreeMap::new();
        /// Whether somebody who signs in for the first time gets the account that has the same address, where the provider says that it is verified. Off, since whoever the provider gives an address of an administrator would become one.
        "LinkByEmail" link_by_email: bool = false;
        /// Must be false: access tokens of the provider are not taken in place of Wharf's own.
        "AcceptAccessToken" accept_access_token: bool = false;
        /// Time for one answer of the provider; people wait for it.
        "Timeout" timeout: Duration = 10 * SECOND, SECOND => 2 * MINUTE;
        /// By how much the provider's clock may differ; machines that keep time differ by less than a second.
        "ClockSkew" clock_skew: Duration = MINUTE, Duration::ZERO => 10 * MINUTE;
    }
}

settings! {
    /// What becomes of people whom nobody made a user for.
    pub struct Users {
        /// Whether somebody who signs in with the provider for the first time gets an account; off, only whom an administrator made one for gets in (LinkByEmail).
        "AutoSetupNewUsers" auto_setup_new_users: bool = true;
        /// Whether such an account may act at once; off, as in Arvados, until an administrator says so (wharf user activate).
        "NewUsersAreActive" new_users_are_active: bool = false;
    }
}

settings! {
    /// The log of what happened to records, as clients read it; not the process's own log.
    pub struct AuditLogs {
        /// How long entries are kept; Arvados's two weeks are enough to find out who changed what.
        "MaxAge" age_max: Duration = 14 * DAY, HOUR => 100 * 365 * DAY;
        /// Entries that are deleted in one step; nobody else can write meanwhile, and so many take some 20 ms.
        "MaxDeleteBatch" delete_batch_max: u32 = 1000, 1 => 100_000;
    }
}

settings! {
    /// The pages.
    pub struct Dashboard {
        /// What the launch page offers to begin with, each with Name, Image and, as needed, Description, Command, Ports (number to Label, Access, Path), VCPUs, RAM; none by default, as only a site knows its images.
        "Templates" templates: Vec<Template> = Vec::new();
    }
}

settings! {
    /// Figures of this process, for Prometheus.
    pub struct Metrics {
        /// An address of its own for GET /metrics, such as 127.0.0.1:9464; null for none. Controllers on one machine need one each.
        "Listen" listen: Option<SocketAddr> = None;
        /// A file with the token that must come as Authorization: Bearer; needed unless Listen is a loopback address, as the figures name services.
        "TokenFile" token_file: Option<PathBuf> = None;
        /// Ports of services that are counted apart from each other; those beyond are counted together. Each has nine series, and Prometheus keeps all it ever saw.
        "MaxPorts" ports_max: u32 = 1000, 1 => 100_000;
    }
}

settings! {
    /// How a process comes down.
    pub struct Shutdown {
        /// Time that requests under way have to finish after the first Ctrl-C or SIGTERM.
        "DrainGrace" drain_grace: Duration = 5 * SECOND, Duration::ZERO => HOUR;
        /// Time that cancelled tasks have to end before the process leaves without them.
        "EndTimeout" end_timeout: Duration = 5 * SECOND, SECOND => 10 * MINUTE;
        /// Time that a process which another one has replaced keeps its open streams; after an hour a notebook's page reconnects, and old versions do not run for days.
        "UpgradeDrain" upgrade_drain: Duration = HOUR, Duration::ZERO => 30 * DAY;
        /// Time that a process which replaces another one waits for the tunnels of running containers before it serves without some of them; supervisors dial within milliseconds, and the old process serves meanwhile.
        "UpgradeWait" upgrade_wait: Duration = 10 * SECOND, Duration::ZERO => HOUR;
    }
}

settings! {
    /// What is logged and how.
    pub struct Log {
        /// A level (error, warn, info, debug) or directives such as info,proxy=debug.
        "Level" level: String = "info".to_owned();
        /// text for people or json for collectors.
        "Format" format: LogFormat = LogFormat::Text;
        /// Lines about refused requests and connections in a second, for each reason, with ten seconds' worth at once; further ones are counted, and their number is told. Whoever can cause a line must not fill the disk.
        "RefusalLinesPerSecond" refusal_lines_per_second: u32 = 5, 1 => 100_000;
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

impl Setting for LogFormat {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => Err(format!("must be text or json, is {}", crate::setting::shown(value))),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
        .to_owned()
    }
}
