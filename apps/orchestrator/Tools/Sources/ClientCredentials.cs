using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>Access tokens of sources by OAuth 2.0 client credentials (RFC 6749, 4.4), kept until shortly before they expire.</summary>
internal sealed class ClientCredentials(HttpMessageInvoker client, TimeProvider time)
{
    private const int MaxAnswer = 64 * 1024;
    private const int MaxKept = 10_000;
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<(string SourceId, string Configuration), Lazy<Task<(string Token, DateTimeOffset Until)>>> _tokens = new();

    /// <exception cref="ToolException">There is none to be had.</exception>
    public async Task<string> GetAsync(ToolSource source, SourceOAuth oauth, CancellationToken cancellationToken)
    {
        (string, string) key = (source.Id, source.Configuration);
        while (true)
        {
            if (_tokens.Count >= MaxKept) _tokens.Clear();
            // One request for all who wait; whoever gives up does not take it from the others.
            Lazy<Task<(string Token, DateTimeOffset Until)>> asking = _tokens.GetOrAdd(key, _ => new(() => AskAsync(source, oauth)));
            try
            {
                (string token, DateTimeOffset until) = await asking.Value.WaitAsync(cancellationToken);
                if (time.GetUtcNow() < until) return token;
            }
            catch (ToolException)
            {
                _tokens.TryRemove(new(key, asking));
                throw;
            }
            _tokens.TryRemove(new(key, asking));
        }
    }

    public void Forget(ToolSource source) => _tokens.TryRemove((source.Id, source.Configuration), out _);

    private async Task<(string Token, DateTimeOffset Until)> AskAsync(ToolSource source, SourceOAuth oauth)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "client_credentials" };
        if (oauth.Scope is { } scope) form["scope"] = scope;
        if (oauth.Resource is { } resource) form["resource"] = resource;
        using var request = new HttpRequestMessage(HttpMethod.Post, oauth.TokenUrl) { Content = new FormUrlEncodedContent(form) };
        string id = Uri.EscapeDataString(oauth.ClientId!), secret = Uri.EscapeDataString(source.Secrets.ClientSecret ?? "");
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{id}:{secret}")));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            using HttpResponseMessage response = await client.SendAsync(request, limit.Token);
            byte[] body = await SourceHttp.ReadAsync(response, MaxAnswer, limit.Token) ?? [];
            // What the host says about the refusal may repeat what was sent.
            if (!response.IsSuccessStatusCode) throw new ToolException($"The host that gives access tokens for '{source.Slug}' answered HTTP {(int)response.StatusCode}.") { IsTransient = (int)response.StatusCode >= 500 };
            using var document = JsonDocument.Parse(body);
            string token = document.RootElement.GetProperty("access_token").GetString()!;
            double seconds = document.RootElement.TryGetProperty("expires_in", out JsonElement given) && given.TryGetDouble(out double number) ? number : 300;
            // One that lives shorter than the margin is used once.
            TimeSpan life = TimeSpan.FromSeconds(Math.Clamp(seconds, 1, 86_400));
            return (token, time.GetUtcNow() + (life > Margin * 2 ? life - Margin : life / 2));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            throw new ToolException($"No access token for '{source.Slug}': {SourceHttp.Explain(e)}") { IsTransient = !SourceHttp.IsRefused(e) };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ToolException($"The host that gives access tokens for '{source.Slug}' answered something else.");
        }
    }
}
