using System.Net;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Testing;

/// <summary>Short ways to send and read JSON as text: tests look at the wire, not at our types.</summary>
public static class HttpTestExtensions
{
    public static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    public static async Task<JsonElement> ReadJsonAsync(this HttpResponseMessage response)
    {
        string body = await response.Content.ReadAsStringAsync();
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new InvalidOperationException($"{(int)response.StatusCode} with no JSON: {body}");
        }
    }

    /// <summary>Gets JSON and insists on 200.</summary>
    public static async Task<JsonElement> GetJsonAsync(this HttpClient client, string path)
    {
        using HttpResponseMessage response = await client.GetAsync(path);
        return await Checked(response, HttpStatusCode.OK);
    }

    /// <summary>Posts JSON and returns the answer, whatever its status.</summary>
    public static async Task<HttpResponseMessage> PostAsync(this HttpClient client, string path, string json, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(json) };
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await client.SendAsync(request);
    }

    /// <summary>Posts JSON, insists on a status and reads the JSON of the answer.</summary>
    public static async Task<JsonElement> PostJsonAsync(this HttpClient client, string path, string json, HttpStatusCode status = HttpStatusCode.OK)
    {
        using HttpResponseMessage response = await client.PostAsync(path, json);
        return await Checked(response, status);
    }

    /// <summary>The answer's head; the body is read as it comes.</summary>
    public static async Task<HttpResponseMessage> PostStreamAsync(this HttpClient client, string path, string json, CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(json) };
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    /// <summary>Makes the agent <c>helper</c>, which answers with the built-in model whatever providers there are.</summary>
    public static Task<JsonElement> AddLocalAgentAsync(this HttpClient client) => client.PostJsonAsync("/api/v1/agents", """
        {"slug":"helper","name":"Helper","model":"local/assistant","instructions":"Use the calculator for every calculation.","tools":[{"name":"current_time"},{"name":"calculator"}],"onBusy":"queue"}
        """, HttpStatusCode.Created);

    private static async Task<JsonElement> Checked(HttpResponseMessage response, HttpStatusCode status)
    {
        if (response.StatusCode == status) return await response.ReadJsonAsync();
        throw new InvalidOperationException($"{(int)response.StatusCode} instead of {(int)status}: {await response.Content.ReadAsStringAsync()}");
    }
}
