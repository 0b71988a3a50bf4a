using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;

namespace MultiAgent.Platform.Integration.Tests.Surface;

/// <summary>Health, OpenAPI and the reference.</summary>
[Collection(SharedPlatform.Name)]
public sealed partial class SurfaceTests(PlatformFixture fixture)
{
    private readonly TestPlatform _platform = fixture.Platform;

    [Theory]
    [InlineData("/health")]
    [InlineData("/health/ready")]
    [InlineData("/api/v1/tenant-service/health")]
    [InlineData("/api/v1/orchestrator/health")]
    [InlineData("/api/v1/analytics-service/health")]
    [InlineData("/api/v1/api-gateway/health")]
    public async Task Health_OfEachService_ShowsItsDependenciesWithLatency(string path)
    {
        JsonElement health = await _platform.ClientFor(null).GetJsonAsync(path);

        Assert.Contains(health.GetProperty("status").GetString(), new[] { "ok", "degraded" });
        JsonElement[] dependencies = [.. health.GetProperty("dependencies").EnumerateArray()];
        if (!path.Contains("gateway", StringComparison.Ordinal)) Assert.NotEmpty(dependencies);
        Assert.All(dependencies, d => Assert.True(d.GetProperty("latencyMs").GetDouble() >= 0 && d.GetProperty("name").GetString()!.Length > 0));
    }

    [Fact]
    public async Task OpenApi_OfThePlatform_HoldsEveryRouteWithASummary()
    {
        JsonElement document = await _platform.ClientFor(null).GetJsonAsync("/openapi/v1.json");
        JsonElement paths = document.GetProperty("paths");
        RouteEndpoint[] endpoints = [.. ((IEndpointRouteBuilder)_platform.App).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.TrimStart('/') is var p && (p.StartsWith("api/", StringComparison.Ordinal) || p.StartsWith("v1/", StringComparison.Ordinal)))];

        Assert.StartsWith("3.", document.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        Assert.True(endpoints.Length > 40);
        foreach (RouteEndpoint endpoint in endpoints)
        {
            string path = Constraint().Replace("/" + endpoint.RoutePattern.RawText!.Trim('/'), "{$1}");
            Assert.True(endpoint.Metadata.GetMetadata<IEndpointSummaryMetadata>() is not null, $"{path} has no summary.");
            Assert.True(paths.TryGetProperty(path, out JsonElement item), $"{path} is not in the document.");
            foreach (string method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods)
            {
                Assert.True(item.TryGetProperty(method.ToLowerInvariant(), out JsonElement operation), $"{method} {path} is not in the document.");
                Assert.False(string.IsNullOrWhiteSpace(operation.GetProperty("summary").GetString()), $"{method} {path} has no summary.");
            }
        }
        // References lead somewhere.
        string text = document.ToString();
        foreach (Match reference in Reference().Matches(text)) Assert.True(document.GetProperty("components").GetProperty("schemas").TryGetProperty(reference.Groups[1].Value, out _), reference.Value);
    }

    [Theory]
    [InlineData("/docs")]
    [InlineData("/")]
    public async Task Pages_OfThePlatform_AreHtml(string path)
    {
        using HttpResponseMessage response = await _platform.ClientFor(null).GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        Assert.Contains("<html", await response.Content.ReadAsStringAsync(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task ChatPage_OnTheWire_RefusesForeignScriptsAndFrames()
    {
        using HttpResponseMessage response = await _platform.ClientFor(null).GetAsync("/");
        string policy = response.Headers.GetValues("Content-Security-Policy").Single();

        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
    }

    [GeneratedRegex(@"\{\**(\w+)(?::\w+)?\}")]
    private static partial Regex Constraint();

    [GeneratedRegex(@"#/components/schemas/([A-Za-z0-9_]+)")]
    private static partial Regex Reference();
}
