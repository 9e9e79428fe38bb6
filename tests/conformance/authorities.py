"""Client certificates that no command issues: of the hub's own issuing keys, of a stranger's, and such as have ended."""

from __future__ import annotations

import datetime
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = datetime.timedelta(hours=1)


class Files:
    """A certificate with its chain, and its key, as clients take them."""

    def __init__(self, folder: pathlib.Path, name: str = "spoke") -> None:
        self.chain, self.key = folder / f"{name}.crt", folder / f"{name}.key"

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.chain.read_bytes())[0]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.leaf.public_bytes(serialization.Encoding.DER)).hexdigest()


class Authority:
    """An issuing key with its certificate: one of the hub's own, or one that calls itself so."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate, self.key = certificate, key

    @classmethod
    def of_the_hub(cls, hub, whose: str = "spokes") -> Authority:
        """That of its spokes, or of its `services`."""
        folder = pathlib.Path(hub.data) / "pki"
        certificate = x509.load_pem_x509_certificate((folder / f"{whose}.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{whose}.key").read_bytes(), None)
        return cls(certificate, key)

    @classmethod
    def of_a_stranger(cls, alike: Authority) -> Authority:
        """It has the name of another one, and a key of its own."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        name = alike.certificate.subject
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - HOUR).not_valid_after(now + HOUR)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(made.sign(key, hashes.SHA256()), key)

    def issue(self, folder: pathlib.Path, like: x509.Certificate, ends_in: datetime.timedelta) -> Files:
        """A client certificate that names whom another one names."""
        folder.mkdir()
        files, key = Files(folder), ec.generate_private_key(ec.SECP256R1())
        ends_at = datetime.datetime.now(datetime.UTC) + ends_in
        names = like.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spoke")])
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self.certificate.subject)
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(ends_at - 2 * HOUR).not_valid_after(ends_at)
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        leaf = made.sign(self.key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        files.chain.write_bytes(leaf.public_bytes(pem) + self.certificate.public_bytes(pem))
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files.key.write_bytes(key.private_bytes(pem, *plain))
        return files
