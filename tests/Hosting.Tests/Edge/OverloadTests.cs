using System.Text;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Edge;

public sealed class OverloadTests
{
    [Fact]
    public async Task Requests_AboveTheLimit_AreRefusedEarlyAndHealthIsNot()
    {
        var host = new HostingFixture { Settings = { ["Limits:MaxInFlightRequests"] = "2" } };
        await host.InitializeAsync();
        await using (host)
        {
            Task<Reply>[] held = [host.SendAsync(HttpMethod.Get, "/api/v1/hold"), host.SendAsync(HttpMethod.Get, "/api/v1/hold")];
            await Eventually.TrueAsync(() => Volatile.Read(ref host.Module.Held) == 2, "two requests in progress");
            Reply refused = await host.SendAsync(HttpMethod.Get, "/v1/hello");
            Assert.Equal(503, refused.Status);
            Assert.Equal("overloaded", refused.Json.GetProperty("error").GetProperty("code").GetString());
            Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
            Assert.Equal(200, (await host.SendAsync(HttpMethod.Get, "/health/live", key: null)).Status);
            host.Module.Gate.SetResult();
            Assert.All(await Task.WhenAll(held), r => Assert.Equal(200, r.Status));
            Assert.Equal(200, (await host.SendAsync(HttpMethod.Get, "/v1/hello")).Status);
        }
    }

    [Fact]
    public async Task Body_TooLarge_Is413()
    {
        var host = new HostingFixture { Settings = { ["Limits:MaxBodyBytes"] = "2048" } };
        await host.InitializeAsync();
        await using (host)
        {
            string body = $"{{\"name\":\"{new string('x', 3000)}\"}}";
            foreach (string path in (string[])["/api/v1/echo", "/v1/echo", "/api/v1/things"])
            {
                Reply reply = await host.SendAsync(HttpMethod.Post, path, body, headers: ("Idempotency-Key", "large"));
                Assert.True(reply.Status == 413, $"{path}: {reply.Status} {reply.Text}");
                Assert.Contains("body_too_large", reply.Text);
            }
            // Without a length beforehand it shows only while reading.
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/echo") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Authorization = new("Bearer", "key-a");
            request.Headers.TransferEncodingChunked = true;
            using HttpResponseMessage response = await host.Client.SendAsync(request);
            Assert.Equal(413, (int)response.StatusCode);
        }
    }
}
