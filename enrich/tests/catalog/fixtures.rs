//! Documents in the vendors' formats, written for these tests.

/// A month with two vulnerabilities: one KB for two products of different severity, one KB of an advisory
/// without a CVE, fixes without a KB, and separators of all kinds.
pub(crate) const MONTH_XML: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<cvrf:cvrfdoc xmlns:cvrf="http://www.icasi.org/CVRF/schema/cvrf/1.1"
  xmlns:vuln="http://www.icasi.org/CVRF/schema/vuln/1.1"
  xmlns:prod="http://www.icasi.org/CVRF/schema/prod/1.1">
  <cvrf:DocumentTitle>January 2031 Security Updates</cvrf:DocumentTitle>
  <cvrf:DocumentTracking>
    <cvrf:Identification><cvrf:ID>2031-Jan</cvrf:ID><cvrf:Alias>x</cvrf:Alias></cvrf:Identification>
    <cvrf:InitialReleaseDate>2031-01-14T08:00:00</cvrf:InitialReleaseDate>
    <cvrf:CurrentReleaseDate>2031-02-01T08:00:00</cvrf:CurrentReleaseDate>
  </cvrf:DocumentTracking>
  <prod:ProductTree>
    <prod:Branch Type="Vendor" Name="M">
      <prod:FullProductName ProductID="1">Windows A &amp; B</prod:FullProductName>
      <prod:FullProductName ProductID="2">Windows C</prod:FullProductName>
    </prod:Branch>
    <prod:FullProductName ProductID="3">Browser on C</prod:FullProductName>
  </prod:ProductTree>
  <vuln:Vulnerability Ordinal="1">
    <vuln:Title>First</vuln:Title>
    <vuln:Notes><vuln:Note Title="D" Type="Description">see MS31-999</vuln:Note></vuln:Notes>
    <vuln:CVE>CVE-2031-0001</vuln:CVE>
    <vuln:Threats>
      <vuln:Threat Type="Impact"><vuln:Description>Low</vuln:Description><vuln:ProductID>1</vuln:ProductID></vuln:Threat>
      <vuln:Threat Type="Severity"><vuln:Description>Critical</vuln:Description><vuln:ProductID>1</vuln:ProductID></vuln:Threat>
      <vuln:Threat Type="Severity"><vuln:Description>Moderate</vuln:Description><vuln:ProductID>2</vuln:ProductID></vuln:Threat>
    </vuln:Threats>
    <vuln:Remediations>
      <vuln:Remediation Type="Vendor Fix">
        <vuln:Description>9000001</vuln:Description>
        <vuln:URL>https://example.org/9000001</vuln:URL>
        <vuln:Supercedence>MS30-104, 8000001; 8000002&lt;br&gt;&lt;br&gt;9000001</vuln:Supercedence>
        <vuln:ProductID>1</vuln:ProductID>
        <vuln:ProductID>2</vuln:ProductID>
        <vuln:AffectedFiles />
        <vuln:RestartRequired>Maybe</vuln:RestartRequired>
        <vuln:SubType>Monthly Rollup</vuln:SubType>
      </vuln:Remediation>
      <vuln:Remediation Type="Vendor Fix">
        <vuln:Description>Click to Run</vuln:Description>
        <vuln:ProductID>1</vuln:ProductID>
      </vuln:Remediation>
      <vuln:Remediation Type="Workaround">
        <vuln:Description>9000009</vuln:Description>
        <vuln:ProductID>1</vuln:ProductID>
      </vuln:Remediation>
    </vuln:Remediations>
    <vuln:RevisionHistory><vuln:Revision><cvrf:Description>8888888</cvrf:Description></vuln:Revision></vuln:RevisionHistory>
  </vuln:Vulnerability>
  <vuln:Vulnerability Ordinal="2">
    <vuln:Title>Second</vuln:Title>
    <vuln:CVE>CVE-2031-0002</vuln:CVE>
    <vuln:Threats>
      <vuln:Threat Type="Severity"><vuln:Description>Important</vuln:Description><vuln:ProductID>2</vuln:ProductID></vuln:Threat>
    </vuln:Threats>
    <vuln:Remediations>
      <vuln:Remediation Type="Vendor Fix">
        <vuln:Description>9000001</vuln:Description>
        <vuln:URL>file://internal/share</vuln:URL>
        <vuln:Supercedence>None</vuln:Supercedence>
        <vuln:ProductID>2</vuln:ProductID>
        <vuln:RestartRequired>Yes</vuln:RestartRequired>
        <vuln:SubType>Monthly Rollup</vuln:SubType>
      </vuln:Remediation>
      <vuln:Remediation Type="Vendor Fix">
        <vuln:Description>9000003</vuln:Description>
      </vuln:Remediation>
    </vuln:Remediations>
  </vuln:Vulnerability>
  <vuln:Vulnerability Ordinal="3">
    <vuln:Title>A notice</vuln:Title>
    <vuln:CVE>ADV310001</vuln:CVE>
    <vuln:Threats>
      <vuln:Threat Type="Severity"><vuln:Description>None</vuln:Description><vuln:ProductID>3</vuln:ProductID></vuln:Threat>
    </vuln:Threats>
    <vuln:Remediations>
      <vuln:Remediation Type="Vendor Fix">
        <vuln:Description>900004</vuln:Description>
        <vuln:ProductID>3</vuln:ProductID>
      </vuln:Remediation>
    </vuln:Remediations>
  </vuln:Vulnerability>
</cvrf:cvrfdoc>
"#;

/// The same month as the API's JSON has it, with a vulnerability between the others that is broken.
pub(crate) const MONTH_JSON: &str = r#"{
  "DocumentTitle": {"Value": "January 2031 Security Updates"},
  "DocumentTracking": {
    "Identification": {"ID": {"Value": "2031-Jan"}, "Alias": {"Value": "x"}},
    "InitialReleaseDate": "2031-01-14T08:00:00Z", "CurrentReleaseDate": "2031-02-01T08:00:00Z"},
  "ProductTree": {"Branch": [], "FullProductName": [
    {"ProductID": "1", "Value": "Windows A & B"}, {"ProductID": "2", "Value": "Windows C"},
    {"ProductID": "3", "Value": "Browser on C"}]},
  "Vulnerability": [
    {"Title": {"Value": "First"}, "CVE": "CVE-2031-0001", "Notes": [{"Value": "see MS31-999"}],
     "Threats": [
       {"Type": 0, "Description": {"Value": "Low"}, "ProductID": ["1"]},
       {"Type": 3, "Description": {"Value": "Critical"}, "ProductID": ["1"]},
       {"Type": 3, "Description": {"Value": "Moderate"}, "ProductID": ["2"]}],
     "Remediations": [
       {"Type": 2, "Description": {"Value": "9000001"}, "URL": "https://example.org/9000001",
        "Supercedence": "MS30-104, 8000001; 8000002<br><br>9000001", "ProductID": ["1", "2"],
        "RestartRequired": {"Value": "Maybe"}, "SubType": "Monthly Rollup", "AffectedFiles": []},
       {"Type": 2, "Description": {"Value": "Click to Run"}, "ProductID": ["1"], "URL": null},
       {"Type": 0, "Description": {"Value": "9000009"}, "ProductID": ["1"]}]},
    {"CVE": "CVE-2031-0009", "Threats": "none"},
    {"Title": {}, "CVE": "CVE-2031-0002", "Threats": [
       {"Type": 3, "Description": {"Value": "Important"}, "ProductID": ["2"]}],
     "Remediations": [
       {"Type": 2, "Description": {"Value": "9000001"}, "URL": "file://internal/share",
        "Supercedence": "None", "ProductID": ["2"], "RestartRequired": {"Value": "Yes"},
        "SubType": "Monthly Rollup"},
       {"Type": 2, "Description": {"Value": "9000003"}}]},
    {"Title": {"Value": "A notice"}, "CVE": "ADV310001", "Threats": [
       {"Type": 3, "Description": {"Value": "None"}, "ProductID": ["3"]}],
     "Remediations": [{"Type": 2, "Description": {"Value": "900004"}, "ProductID": ["3"]}]}
  ]}"#;

/// A table with titles below a line of explanation, a KB in two rows, and two rows that are broken.
pub(crate) const TABLE_CSV: &str = "\
Security bulletins and KBs,,,,,,,,,,,,,
Date Posted,Bulletin Id,Bulletin KB,Severity,Impact,Title,Affected Product,Component KB,Affected Component,Impact,Severity,Supersedes,Reboot,CVEs
3/14/2031,MS31-010,8000010,Critical,RCE,\"Update for a server, again\",Windows A,8000011,,RCE,Critical,\"MS30-114[7000001],MS30-001[7000002]\",Yes,\"CVE-2031-0143,CVE-2031-0144\"
3/14/2031,MS31-010,8000010,Critical,RCE,,Windows B,8000012,Browser 11,RCE,Important,,Maybe,CVE-2031-0145
3/14/2031,MS31-010,8000010,Critical,RCE,,Windows B,8000012,Browser 11,RCE,Important,7000003,,CVE-2031-0143
3/14/2031,nonsense,8000010,Critical,RCE,,Windows B,8000013,,RCE,Important,,,
3/14/2031,MS31-011,soon,Critical,RCE,,Windows B,,,RCE,Important,,,
4/11/2031,MS31-012,8000020,Moderate,DoS,Other,Windows C,,,DoS,,,No,
";

/// A repository's updates: a module, architectures that differ, sources, one broken update.
pub(crate) const UPDATES_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="x@example.org" status="final" type="security" version="3">
    <id>RLSA-2031:0001</id>
    <title>Important: thing security update</title>
    <issued date="2031-01-02 03:04:05"/><updated date="2031-01-03 00:00:00"/>
    <severity>Important</severity>
    <references>
      <reference href="https://example.org/bug" id="1" type="bugzilla" title="b"/>
      <reference href="https://example.org/CVE-2031-0007" id="CVE-2031-0007" type="cve" title="c"/>
      <reference href="https://example.org/RLSA-2031:0001" id="RLSA-2031:0001" type="self" title="s"/>
    </references>
    <pkglist>
      <collection short="appstream"><name>Rocky 8 AppStream</name>
        <module name="php" stream="7.3" version="80300" context="b272fdef" arch="x86_64"/>
        <package name="php" version="7.3.20" release="1.module+el8.3.0+1" epoch="0" arch="x86_64" src="php.src.rpm"><filename>php.rpm</filename><sum type="md5">0</sum></package>
        <package name="php" version="7.3.20" release="1.module+el8.3.0+1" epoch="0" arch="aarch64"><filename>php.rpm</filename></package>
        <package name="php" version="7.3.20" release="1.module+el8.3.0+1" epoch="0" arch="src"><filename>php.src.rpm</filename></package>
      </collection>
      <collection short="appstream-2"><name>other</name>
        <package name="bind" version="9.11" release="5.el8_2" epoch="32" arch="noarch"><filename>b</filename></package>
        <package name="glue" version="1" release="2.el8" arch="x86_64"/>
        <package name="glue" version="1" release="3.el8" arch="aarch64"/>
      </collection>
    </pkglist>
  </update>
  <update status="final" type="bugfix"><title>no id</title></update>
  <update status="retracted" type="recommended"><id>RLBA-2031:0002</id><issued date="1925000000"/>
    <pkglist><collection><package name="old" version="1" release="1.el8" arch="noarch"/></collection></pkglist></update>
  <update status="final" type="enhancement"><id>RLEA-2031:0003</id><pkglist/></update>
</updates>
"#;
