using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Options;
using MultiAgent.Data;

namespace MultiAgent.Hosting.Services.Tls;

/// <summary>Mutual TLS between services: this service's certificate, and the authority that the others' must come from.</summary>
public sealed class ServiceTls
{
    private readonly X509Certificate2? _certificate;
    private readonly X509Certificate2Collection _authorities = [];

    /// <exception cref="StartupException">A file cannot be read as what it should be.</exception>
    internal ServiceTls(IOptions<ServicesOptions> options)
    {
        ServiceTlsOptions tls = options.Value.Tls;
        IsOn = tls.IsOn;
        if (!IsOn) return;
        try
        {
            _certificate = X509Certificate2.CreateFromPemFile(tls.Certificate!, tls.Key);
            _authorities.ImportFromPemFile(tls.CertificateAuthority!);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"The files of Services:Tls cannot be read as a PEM certificate with its key and authority: {e.Message}", e);
        }
        if (_authorities.Count == 0) throw new StartupException($"Services:Tls:CertificateAuthority ('{tls.CertificateAuthority}') holds no certificate.");
    }

    /// <summary>True when services speak mutual TLS.</summary>
    public bool IsOn { get; }

    /// <summary>How this process calls other services; null: as the framework does.</summary>
    public SslClientAuthenticationOptions? ForClients() => !IsOn ? null : new SslClientAuthenticationOptions
    {
        ClientCertificates = [_certificate!],
        LocalCertificateSelectionCallback = (_, _, _, _, _) => _certificate!,
        RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
            // The chain is judged by our authority alone; the name must fit all the same.
            (errors & (SslPolicyErrors.RemoteCertificateNotAvailable | SslPolicyErrors.RemoteCertificateNameMismatch)) == 0 && IsOurs(certificate, X509KeyUsage.ServerAuth),
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
    };

    /// <summary>How this process listens for other services. Whether a certificate is needed depends on the endpoint; one that is shown must be ours.</summary>
    internal void Configure(HttpsConnectionAdapterOptions https)
    {
        https.ServerCertificate = _certificate;
        https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
        https.ClientCertificateValidation = (certificate, _, _) => IsOurs(certificate, X509KeyUsage.ClientAuth);
        https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
    }

    private bool IsOurs(X509Certificate? certificate, string usage)
    {
        if (certificate is not X509Certificate2 shown) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        // An authority of one's own has no list of revocations; its certificates live shortly instead.
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        return chain.Build(shown);
    }

    private static class X509KeyUsage
    {
        public const string ServerAuth = "1.3.6.1.5.5.7.3.1";
        public const string ClientAuth = "1.3.6.1.5.5.7.3.2";
    }
}
