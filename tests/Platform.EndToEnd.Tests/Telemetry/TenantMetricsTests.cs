using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MultiAgent.Platform.EndToEnd.Tests.Telemetry;

/// <summary>Tenants in /metrics: as many as the operator allows have a label of their own.</summary>
public sealed partial class TenantMetricsTests : IDisposable
{
    private const string OperatorToken = "the-operator-of-these-tests-0123456789";

    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task Tenants_AboveTheirNumber_ShareOneLabel()
    {
        await using FakeProvider provider = await FakeProvider.StartAsync();
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(provider,
            ("Telemetry__MaxTenants", "1"), ("MAAP_OPERATOR_TOKEN", OperatorToken)));
        using HttpClient first = platform.ClientFor(PlatformEnvironment.Key);
        string firstId = (await first.GetJsonAsync("/api/v1/tenant")).GetProperty("id").GetString()!;
        await ChatAsync(first);
        foreach (string slug in (string[])["second", "third"])
        {
            using HttpClient client = platform.ClientFor(await AddTenantAsync(platform, slug));
            await ChatAsync(client);
            await ChatAsync(client);
        }

        (string Tenant, long Value)[] calls = [];
        // The answer of /metrics is kept for a moment.
        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage response = await first.GetAsync("/metrics");
            calls = [.. Calls().Matches(await response.Content.ReadAsStringAsync()).Select(m => (m.Groups[1].Value, long.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture)))];
            return calls.Sum(c => c.Value) >= 5;
        }, "the calls of all tenants are counted");

        Assert.Equal([(firstId, 1L), ("other", 4L)], calls.OrderBy(c => c.Value));
    }

    private static async Task<string> AddTenantAsync(PlatformProcess platform, string slug)
    {
        using HttpClient nobody = platform.ClientFor(null);
        using HttpResponseMessage response = await nobody.PostAsync("/api/v1/tenants", $$"""{"slug":"{{slug}}","name":"{{slug}}","ownerEmail":"owner@{{slug}}.example"}""", ("X-Operator-Token", OperatorToken));
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (await response.ReadJsonAsync()).GetProperty("apiKey").GetString()!;
    }

    private static Task<JsonElement> ChatAsync(HttpClient client) =>
        client.PostJsonAsync("/v1/chat/completions", $$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"hi"}]}""");

    [GeneratedRegex("""^tenant_model_calls_total\{[^}]*\btenant="([^"]+)"[^}]*\} ([0-9]+)""", RegexOptions.Multiline)]
    private static partial Regex Calls();
}
