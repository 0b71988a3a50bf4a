using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Edge;

public sealed class EdgeTests(HostingFixture host) : IClassFixture<HostingFixture>
{
    [Fact]
    public async Task RequestId_Usable_IsEchoed()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/hello", headers: ("X-Request-Id", "my-id.42"));
        Assert.Equal("my-id.42", reply.Headers.GetValues("X-Request-Id").Single());
        Reply error = await host.SendAsync(HttpMethod.Get, "/api/v1/nothing", headers: ("X-Request-Id", "my-id.42"));
        Assert.Equal("my-id.42", error.Headers.GetValues("X-Request-Id").Single());
        Assert.Equal("my-id.42", error.Json.GetProperty("requestId").GetString());
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("")]
    [InlineData("tab\there")]
    public async Task RequestId_Unusable_IsReplaced(string given)
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/hello", headers: ("X-Request-Id", given));
        Assert.Matches("^req_[0-9a-hjkmnp-tv-z]{26}$", reply.Headers.GetValues("X-Request-Id").Single());
    }

    [Fact]
    public async Task RequestId_TooLong_IsReplaced()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/hello", headers: ("X-Request-Id", new string('x', 129)));
        Assert.StartsWith("req_", reply.Headers.GetValues("X-Request-Id").Single());
    }

    [Fact]
    public async Task Unmatched_UnderApi_IsAProblem()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/nothing");
        Assert.Equal((404, "application/problem+json"), (reply.Status, reply.ContentType));
        Assert.Equal("unknown_url", reply.Json.GetProperty("code").GetString());
        Assert.Equal("urn:maap:error:unknown_url", reply.Json.GetProperty("type").GetString());
        Assert.Equal(404, reply.Json.GetProperty("status").GetInt32());
        Assert.False(string.IsNullOrEmpty(reply.Json.GetProperty("title").GetString()));
    }

    [Fact]
    public async Task Unmatched_UnderOpenAiSurface_IsAnErrorObject()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/v1/nothing");
        Assert.Equal((404, "application/json"), (reply.Status, reply.ContentType));
        JsonElement error = reply.Json.GetProperty("error");
        Assert.Equal("unknown_url", error.GetProperty("code").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(JsonValueKind.Null, error.GetProperty("param").ValueKind);
        Assert.Equal(["error"], reply.Json.EnumerateObject().Select(p => p.Name));
    }

    [Theory]
    [InlineData("/api/v1/hello")]
    [InlineData("/v1/hello")]
    public async Task WrongMethod_Is405WithABody(string path)
    {
        Reply reply = await host.SendAsync(HttpMethod.Delete, path);
        Assert.Equal(405, reply.Status);
        Assert.Contains("method_not_allowed", reply.Text);
    }

    [Theory]
    [InlineData("{", "invalid_json")]
    [InlineData("", "invalid")]
    [InlineData("{\"name\":1}", "invalid_json")]
    [InlineData("[]", "invalid_json")]
    [InlineData("{\"status\":201}", "invalid_json")]
    [InlineData("null", "invalid")]
    public async Task Json_Malformed_Is400(string body, string code)
    {
        foreach (string surface in (string[])["/api/v1", "/v1"])
        {
            Reply reply = await host.SendAsync(HttpMethod.Post, $"{surface}/echo", body);
            Assert.True(reply.Status == 400, $"{reply.Status} {reply.Text}");
            Assert.Contains(code, reply.Text);
            Assert.DoesNotContain("MultiAgent.", reply.Text);
        }
    }

    [Fact]
    public async Task Json_MissingMember_IsNamed()
    {
        Reply reply = await host.SendAsync(HttpMethod.Post, "/api/v1/echo", """{"status":201}""");
        Assert.Contains("'name'", reply.Json.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task Json_InvalidUtf8_Is400()
    {
        using var content = new ByteArrayContent([.. "{\"name\":\""u8, 0xFF, 0xFE, .. "\"}"u8]);
        content.Headers.ContentType = new("application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/echo") { Content = content };
        request.Headers.Authorization = new("Bearer", "key-a");
        using HttpResponseMessage response = await host.Client.SendAsync(request);
        Assert.Equal(400, (int)response.StatusCode);
    }

    [Theory]
    [InlineData(60, 200)]
    [InlineData(64, 400)]
    [InlineData(100_000, 400)]
    public async Task Json_Depth_IsBounded(int depth, int status)
    {
        Reply reply = await host.SendAsync(HttpMethod.Post, "/api/v1/echo", $"{{\"name\":\"n\",\"data\":{new string('[', depth)}{new string(']', depth)}}}");
        Assert.Equal(status, reply.Status);
        if (status == 400) Assert.Equal("json_too_deep", reply.Json.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Body_NotJson_Is415()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/echo") { Content = new StringContent("name=x", Encoding.UTF8, "text/plain") };
        request.Headers.Authorization = new("Bearer", "key-a");
        using HttpResponseMessage response = await host.Client.SendAsync(request);
        Assert.Equal(415, (int)response.StatusCode);
        Assert.Contains("unsupported_media_type", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("/api/v1/fail")]
    [InlineData("/v1/fail")]
    public async Task Exception_Is500AndTellsNothing(string path)
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, path);
        Assert.Equal(500, reply.Status);
        Assert.Contains("internal_error", reply.Text);
        Assert.DoesNotContain("secret", reply.Text);
    }

    [Fact]
    public async Task ApiException_HasItsShapeOnBothSurfaces()
    {
        Reply problem = await host.SendAsync(HttpMethod.Get, "/api/v1/refuse");
        Assert.Equal((418, "thing", "No."), (problem.Status, problem.Json.GetProperty("param").GetString(), problem.Json.GetProperty("detail").GetString()));
        Assert.Equal("2", problem.Headers.GetValues("Retry-After").Single());
        Assert.True(problem.Headers.Contains("RateLimit-Remaining"));
        JsonElement error = (await host.SendAsync(HttpMethod.Get, "/v1/refuse")).Json.GetProperty("error");
        Assert.Equal(("thing", "No."), (error.GetProperty("param").GetString(), error.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task FullQueue_Is503WithRetryAfter()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/v1/overloaded");
        Assert.Equal(503, reply.Status);
        Assert.Equal("server_error", reply.Json.GetProperty("error").GetProperty("type").GetString());
        Assert.Equal("1", reply.Headers.GetValues("Retry-After").Single());
    }

    [Fact]
    public async Task NoOrWrongCredential_Is401WithAChallenge()
    {
        foreach (string? key in (string?[])[null, "wrong", "eyJhbGciOiJub25lIn0.e30."])
        {
            Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/hello", key: key);
            Assert.Equal(401, reply.Status);
            Assert.Equal("Bearer", reply.Headers.WwwAuthenticate.Single().Scheme);
        }
        Assert.Equal(200, (await host.SendAsync(HttpMethod.Get, "/v1/hello", key: null, headers: ("api-key", "key-a"))).Status);
        Assert.Equal(200, (await host.SendAsync(HttpMethod.Get, "/v1/hello", key: null, headers: ("x-api-key", "key-a"))).Status);
    }

    [Fact]
    public async Task MissingScope_Is403AndNamed()
    {
        Reply reply = await host.SendAsync(HttpMethod.Get, "/api/v1/write");
        Assert.Equal(403, reply.Status);
        Assert.Contains("agents:write", reply.Json.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task RateLimit_UsedUp_Is429WithHeadersOnBothSurfaces()
    {
        Reply first = await host.SendAsync(HttpMethod.Get, "/v1/hello", key: "key-tiny1");
        Assert.Equal(("60", "0"), (first.Headers.GetValues("RateLimit-Limit").Single(), first.Headers.GetValues("x-ratelimit-remaining-requests").Single()));
        Reply refused = await host.SendAsync(HttpMethod.Get, "/v1/hello", key: "key-tiny1");
        Assert.Equal(429, refused.Status);
        Assert.Equal("rate_limit_exceeded", refused.Json.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal("requests", refused.Json.GetProperty("error").GetProperty("type").GetString());
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Equal("60", refused.Headers.GetValues("x-ratelimit-limit-requests").Single());
        Assert.Equal("1", refused.Headers.GetValues("RateLimit-Reset").Single());
    }

    [Fact]
    public async Task Headers_TooLarge_AreRefused()
    {
        using var client = new TcpClient(host.Client.BaseAddress!.Host, host.Client.BaseAddress.Port);
        await using NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET /api/v1/hello HTTP/1.1\r\nHost: x\r\nX-Big: {new string('x', 40_000)}\r\n\r\n"));
        using var reader = new StreamReader(stream);
        Assert.Contains("431", await reader.ReadLineAsync().WaitAsync(Eventually.Deadline));
    }
}
