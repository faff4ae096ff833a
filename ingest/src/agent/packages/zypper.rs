//! rpm with zypper.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Package, Packages, rpm_installed, with_epoch};
use crate::agent::system::{System, Unreadable, text_of};

/// As XML: the table's columns depend on the width of the terminal.
const AVAILABLE: &[&str] = &["--non-interactive", "--no-refresh", "--xmlout", "list-updates"];

/// zypper knows security by patch, not by package: there is no hint, the catalog decides.
pub(super) async fn packages(system: &impl System) -> Result<Packages, Unreadable> {
    let installed = rpm_installed(system).await?;
    let text = text_of(system, "zypper", AVAILABLE, &[0]).await?;
    let available = available(&text)
        .map_err(|error| Unreadable::new("zypper --xmlout list-updates", error.to_string()))?;
    Ok(Packages { installed, available, unreadable: Vec::new() })
}

/// `<update kind="package" name= edition= arch= …><source alias=/></update>`
fn available(text: &str) -> Result<Vec<Package>, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let mut available: Vec<Package> = Vec::new();
    let mut in_package = false;
    loop {
        match reader.read_event()? {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "update" => {
                in_package = attribute(&tag, "kind")? == "package";
                if in_package {
                    available.push(Package {
                        name: attribute(&tag, "name")?,
                        arch: attribute(&tag, "arch")?,
                        version: with_epoch(&attribute(&tag, "edition")?),
                        ..Package::default()
                    });
                }
            }
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "source" => {
                if in_package && let Some(package) = available.last_mut() {
                    package.repository = attribute(&tag, "alias")?;
                }
            }
            Event::End(tag) if tag.name().as_ref() == "update" => in_package = false,
            Event::Eof => return Ok(available),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String, quick_xml::Error> {
    let Some(attribute) = tag.try_get_attribute(name)? else { return Ok(String::new()) };
    Ok(attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    #[tokio::test]
    async fn a_suses_packages_are_read() {
        let system = Recorded::default()
            .ran(
                "rpm -qa --qf %{NAME}\\t%{ARCH}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n",
                0,
                "bash\tx86_64\t0:4.3-83.3.1\n",
            )
            .ran(
                "zypper --non-interactive --no-refresh --xmlout list-updates",
                0,
                r#"<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<update-status version="0.6">
<update-list>
  <update kind="package" name="bash" edition="4.3-83.5.2" arch="x86_64" edition-old="4.3-83.3.1">
    <summary>The GNU Bourne-Again Shell</summary>
    <source url="https://example.org/sle12" alias="SLES12-SP5-Updates"/>
  </update>
  <update kind="patch" name="SUSE-2024-1" edition="1" arch="noarch"><source url="" alias="x"/></update>
</update-list>
</update-status>
</stream>"#,
            );
        let packages = packages(&system).await.unwrap();
        assert_eq!(packages.installed.len(), 1);
        assert_eq!(
            packages.available,
            [Package {
                name: "bash".to_owned(),
                arch: "x86_64".to_owned(),
                version: "0:4.3-83.5.2".to_owned(),
                repository: "SLES12-SP5-Updates".to_owned(),
                classification: "",
            }]
        );
    }

    #[tokio::test]
    async fn broken_xml_is_no_empty_list() {
        let system = Recorded::default()
            .ran("rpm -qa --qf %{NAME}\\t%{ARCH}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n", 0, "")
            .ran(
                "zypper --non-interactive --no-refresh --xmlout list-updates",
                0,
                "<stream><update-list></stream>",
            );
        assert!(packages(&system).await.is_err());
    }
}
