use model::VolumePlace;

use crate::config::tests::{problems, resolve};

const BOTH: &str = "
Volumes:
  zzzzz-nyw5e-000000000000000:
    Driver: Directory
    DriverParameters: {Root: /srv/keep}
  far:
    Driver: S3
    DriverParameters:
      Bucket: blocks
      AccessKeyID: us
      SecretAccessKeyFile: /etc/wharf/s3.secret
      Endpoint: https://s3.example.com:9000/
      ReadTimeout: 30s
    StorageClasses: {default: true, archive: true, slow: false}
    Replication: 3
    ReadOnly: true
";

#[test]
fn volumes_are_read_in_the_order_of_the_file_and_shown_as_they_are() {
    let config = resolve(BOTH);
    let [near, far] = &config.volumes[..] else { panic!("{:?}", config.volumes) };
    assert_eq!(near.name, "zzzzz-nyw5e-000000000000000");
    assert_eq!(near.place, VolumePlace::Directory { root: "/srv/keep".into() });
    assert_eq!((near.replication, near.read_only), (1, false));
    assert_eq!(near.storage_classes, ["default"]);
    let VolumePlace::S3(bucket) = &far.place else { panic!("{far:?}") };
    assert_eq!(bucket.endpoint.as_deref(), Some("https://s3.example.com:9000"));
    assert_eq!((bucket.read_timeout_ms, &*bucket.region), (30_000, "us-east-1"));
    assert_eq!((far.replication, far.read_only), (3, true));
    assert_eq!(far.storage_classes, ["default", "archive"]);
    let text = config.to_yaml();
    assert_eq!(resolve(&text).to_yaml(), text);
    assert_eq!(resolve(&text).volumes, config.volumes);
}

#[test]
fn what_is_wrong_with_a_volume_is_named() {
    let check = |text: &str, expected: &[&str]| assert_eq!(problems(text), expected, "{text}");
    check("Volumes: {a: {}}", &["Volumes.a.Driver: is missing: Directory or S3"]);
    check(
        "Volumes: {a: {Driver: Tape}}",
        &[
            "Volumes.a.Driver: must be Directory or S3, is \"Tape\"",
            "Volumes.a.Driver: is missing: Directory or S3",
        ],
    );
    check(
        "Volumes: {a: {Driver: Directory, DriverParameters: {Rot: /x}}}",
        &[
            "Volumes.a.DriverParameters.Root: is missing: the directory's absolute path",
            "Volumes.a.DriverParameters.Rot: unknown key; did you mean Root?",
        ],
    );
    check(
        "Volumes: {a: {Driver: Directory, DriverParameters: {Root: /x}, ReadOnly: true}}",
        &[
            "Volumes: one volume at least must be of the storage class default and not ReadOnly, or \
            nothing can be stored",
        ],
    );
    check(
        "Volumes: {a: {Driver: Directory, DriverParameters: {Root: /x}, Replication: 99}}",
        &["Volumes.a.Replication: must be from 1 to 10, is 99"],
    );
    check(
        "Volumes: {a: {Driver: S3, DriverParameters: {Bucket: b, AccessKeyID: k, \
         SecretAccessKeyFile: /s, Endpoint: 'https://user@host/'}}}",
        &[
            "Volumes.a.DriverParameters.Endpoint: must be an address such as https://s3.example.com:9000",
        ],
    );
    check("Volumes: [a]", &["Volumes: must be a mapping of keys and values"]);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let found = problems(
        "Volumes: {a: {Driver: S3, DriverParameters: {Bucket: b, AccessKeyID: k, \
         SecretAccessKey: hunter2, SecretAccessKeyFile: /s}}}",
    );
    let [only] = &found[..] else { panic!("{found:?}") };
    assert!(only.contains("SecretAccessKeyFile") && !only.contains("hunter2"), "{only}");
}
