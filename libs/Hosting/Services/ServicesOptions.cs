using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MultiAgent.Hosting.Services;

/// <summary>Section <c>Services</c>: how the platform's services trust each other when they run as separate processes.</summary>
public sealed class ServicesOptions
{
    /// <summary>Secret that signs the tokens between services, the same in all processes, at least 32 bytes. Default: <c>JWT_SECRET</c>.</summary>
    public string? Secret { get; set; }

    /// <summary>Secret whose tokens are still accepted while <see cref="Secret"/> is being changed. Default: <c>JWT_SECRET_PREVIOUS</c>.</summary>
    public string? PreviousSecret { get; set; }

    /// <summary>Certificates of the services; null for connections that are not encrypted.</summary>
    public ServiceTlsOptions Tls { get; set; } = new();
}

/// <summary>Section <c>Services:Tls</c>: mutual TLS between services. All three belong together.</summary>
public sealed class ServiceTlsOptions
{
    /// <summary>Path of this service's certificate (PEM, with its chain). It is shown to callers and to the services that are called.</summary>
    public string? Certificate { get; set; }

    /// <summary>Path of the private key (PEM) of <see cref="Certificate"/>.</summary>
    public string? Key { get; set; }

    /// <summary>Path of the certificates (PEM) that sign those of all services; no other authority is trusted.</summary>
    public string? CertificateAuthority { get; set; }

    /// <summary>True when services speak mutual TLS.</summary>
    internal bool IsOn => !string.IsNullOrEmpty(Certificate);
}

internal sealed class ServicesDefaults(IConfiguration configuration) : IConfigureOptions<ServicesOptions>
{
    public void Configure(ServicesOptions options)
    {
        if (!string.IsNullOrEmpty(options.Secret)) return;
        options.Secret = configuration["JWT_SECRET"];
        if (string.IsNullOrEmpty(options.PreviousSecret)) options.PreviousSecret = configuration["JWT_SECRET_PREVIOUS"];
    }
}

internal sealed class ServicesValidator(ServiceTopology topology) : IValidateOptions<ServicesOptions>
{
    private const int MinBytes = 32;

    public ValidateOptionsResult Validate(string? name, ServicesOptions options)
    {
        if (!topology.IsApart) return ValidateOptionsResult.Success;
        var errors = new List<string>();
        if (string.IsNullOrEmpty(options.Secret))
            errors.Add($"The services run as separate processes and need a shared secret: set JWT_SECRET (or Services:Secret) to the same {MinBytes} bytes or more in all of them, e.g. from 'openssl rand -hex 32'.");
        else if (Encoding.UTF8.GetByteCount(options.Secret) is var bytes and < MinBytes)
            errors.Add($"JWT_SECRET (or Services:Secret) has {bytes} bytes; use at least {MinBytes}.");
        (string Name, string? Path)[] files = [("Certificate", options.Tls.Certificate), ("Key", options.Tls.Key), ("CertificateAuthority", options.Tls.CertificateAuthority)];
        if (files.Any(f => string.IsNullOrEmpty(f.Path)) && files.Any(f => !string.IsNullOrEmpty(f.Path)))
            errors.Add("Services:Tls takes Certificate, Key and CertificateAuthority together.");
        foreach ((string setting, string? path) in files)
            if (!string.IsNullOrEmpty(path) && !File.Exists(path)) errors.Add($"Services:Tls:{setting} names the file '{path}', which is not there.");
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
