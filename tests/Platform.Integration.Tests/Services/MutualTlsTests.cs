using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using MultiAgent.Data;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>Services that show certificates to each other.</summary>
[Trait("Database", "once")]
public sealed class MutualTlsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly List<WebApplication> _hosts = [];
    private readonly StubService _stub = new();
    private int _data;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (WebApplication host in Enumerable.Reverse(_hosts))
        {
            await host.StopAsync();
            await host.DisposeAsync();
        }
        _folder.Dispose();
    }

    [Fact]
    public async Task Services_WithCertificatesOfOneAuthority_SpeakAndNobodyElseDoes()
    {
        Authority ours = new(_folder, "ours"), others = new(_folder, "others");
        string service = (await HostAsync("orchestrator", _stub, ours.Settings("orchestrator"))).Urls.First();
        string gateway = (await HostAsync("api-gateway", StubService.Gateway, Urls(ours.Settings("api-gateway"), service))).Urls.First();
        string stranger = (await HostAsync("api-gateway", StubService.Gateway, Urls(others.Settings("stranger"), service))).Urls.First();
        using var client = new HttpClient { DefaultRequestHeaders = { { "Authorization", $"Bearer {TestPlatform.DemoKey}" } } };

        // The gateway's own door is plain here; behind it everything is encrypted.
        Assert.StartsWith("https://", service, StringComparison.Ordinal);
        using HttpResponseMessage through = await client.GetAsync($"{gateway}/api/v1/agents");
        Assert.Equal(HttpStatusCode.OK, through.StatusCode);
        using HttpResponseMessage strange = await client.GetAsync($"{stranger}/api/v1/agents");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, strange.StatusCode);

        string token = new HandMadeToken { TenantId = "ten_demo" }.ToString();
        Assert.Equal((401, "client_certificate_required"), await DirectAsync(service, token, null));
        Assert.Equal((200, null), await DirectAsync(service, token, ours.Load("api-gateway")));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => DirectAsync(service, token, others.Load("stranger")));
        // A certificate alone says nothing about a caller, and a user's key needs none.
        Assert.Equal((401, "invalid_service_token"), await DirectAsync(service, "", ours.Load("api-gateway")));
        Assert.Equal((200, null), await DirectAsync(service, null, null, TestPlatform.DemoKey));
    }

    [Fact]
    public async Task Gateway_BeforeAServiceOfAnotherAuthority_DoesNotTrustIt()
    {
        Authority ours = new(_folder, "ours"), others = new(_folder, "others");
        string service = (await HostAsync("orchestrator", _stub, others.Settings("orchestrator"))).Urls.First();
        string gateway = (await HostAsync("api-gateway", StubService.Gateway, Urls(ours.Settings("api-gateway"), service))).Urls.First();
        using var client = new HttpClient { DefaultRequestHeaders = { { "Authorization", $"Bearer {TestPlatform.DemoKey}" } } };

        using HttpResponseMessage response = await client.GetAsync($"{gateway}/api/v1/agents");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(0, _stub.Served);
    }

    [Fact]
    public async Task Files_ThatAreNoCertificates_StopTheStart()
    {
        string junk = Path.Combine(_folder.Path, "junk.pem");
        File.WriteAllText(junk, "junk");

        StartupException e = await Assert.ThrowsAsync<StartupException>(() => HostAsync("orchestrator", _stub,
            new() { ["Services:Tls:Certificate"] = junk, ["Services:Tls:Key"] = junk, ["Services:Tls:CertificateAuthority"] = junk }));

        Assert.Contains("Services:Tls", e.Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, string?> Urls(Dictionary<string, string?> settings, string orchestrator) =>
        new(settings) { ["Services:orchestrator:Urls"] = orchestrator, ["Limits:RequestTimeoutSeconds"] = "40" };

    private static async Task<(int Status, string? Code)> DirectAsync(string url, string? token, X509Certificate2? certificate, string? key = null)
    {
        using var handler = new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                // The test looks at what the service does, whoever it is.
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
                LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate!,
                ClientCertificates = certificate is null ? null : [certificate],
            },
        };
        using var client = new HttpClient(handler);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{url}/api/v1/agents");
        if (token is not null) request.Headers.TryAddWithoutValidation(HandMadeToken.Header, token);
        if (key is not null) request.Headers.Add("Authorization", $"Bearer {key}");
        using HttpResponseMessage response = await client.SendAsync(request);
        return ((int)response.StatusCode, response.IsSuccessStatusCode ? null : (await response.ReadJsonAsync()).GetProperty("code").GetString());
    }

    private async Task<WebApplication> HostAsync(string name, Hosting.IServiceModule module, Dictionary<string, string?> settings)
    {
        string url = name == "api-gateway" ? "http://127.0.0.1:0" : "https://127.0.0.1:0";
        WebApplication host = await StubService.HostAsync(name, module, _folder, new Dictionary<string, string?>(settings) { ["MAAP_DATA_DIR"] = Path.Combine(_folder.Path, $"data-{_data++}") }, _stub, url);
        _hosts.Add(host);
        return host;
    }

    /// <summary>An authority that signs certificates of services for loopback.</summary>
    private sealed class Authority
    {
        private readonly TempFolder _folder;
        private readonly string _name;
        private readonly X509Certificate2 _certificate;

        public Authority(TempFolder folder, string name)
        {
            (_folder, _name) = (folder, name);
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
            _certificate = request.CreateSelfSigned(Now.AddMinutes(-5), Now.AddDays(1));
            File.WriteAllText(PathOf("ca"), _certificate.ExportCertificatePem());
        }

        private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

        public Dictionary<string, string?> Settings(string service)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={service}", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Loopback);
            names.AddDnsName("localhost");
            request.CertificateExtensions.Add(names.Build());
            using X509Certificate2 signed = request.Create(_certificate, Now.AddMinutes(-1), Now.AddHours(12), RandomNumberGenerator.GetBytes(8));
            File.WriteAllText(PathOf(service), signed.ExportCertificatePem());
            File.WriteAllText(PathOf(service + "-key"), key.ExportPkcs8PrivateKeyPem());
            return new() { ["Services:Tls:Certificate"] = PathOf(service), ["Services:Tls:Key"] = PathOf(service + "-key"), ["Services:Tls:CertificateAuthority"] = PathOf("ca") };
        }

        public X509Certificate2 Load(string service) => X509Certificate2.CreateFromPemFile(PathOf(service), PathOf(service + "-key"));

        private string PathOf(string what) => Path.Combine(_folder.Path, $"{_name}-{what}.pem");
    }
}
