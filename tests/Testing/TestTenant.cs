using System.Net.Http.Headers;

namespace MultiAgent.Testing;

/// <summary>A tenant with a key, and a client that uses it.</summary>
public sealed class TestTenant(string id, string key, HttpClient client)
{
    public string Id => id;

    public string Key => key;

    /// <summary>Sends the key with each request.</summary>
    public HttpClient Client => client;

    internal static HttpClient ClientFor(Uri url, string? key)
    {
        // Without draining, disposing of a response hangs up at once, as a client does that leaves.
        var client = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = url, Timeout = TimeSpan.FromSeconds(60) };
        if (key is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }
}
