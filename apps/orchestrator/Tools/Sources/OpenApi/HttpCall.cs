using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Sources.OpenApi;

/// <summary>Makes an HTTP request of an operation and the arguments of a call.</summary>
internal static class HttpCall
{
    public static bool IsJson(string? type)
    {
        if (type is null) return false;
        string media = type.Split(';')[0].Trim();
        return media.Equals("application/json", StringComparison.OrdinalIgnoreCase) || media.EndsWith("+json", StringComparison.OrdinalIgnoreCase);
    }

    /// <param name="operation">The operation.</param>
    /// <param name="arguments">An object that fits the operation's schema.</param>
    /// <param name="idempotencyKey">The same for every attempt.</param>
    /// <exception cref="ToolException">An argument cannot be written where it belongs.</exception>
    public static HttpRequestMessage Request(HttpOperation operation, JsonElement arguments, string idempotencyKey)
    {
        string url = operation.Url;
        var query = new StringBuilder();
        var cookies = new List<string>();
        var headers = new List<(string Name, string Value)>();
        foreach (HttpParameter parameter in operation.Parameters)
        {
            if (!arguments.TryGetProperty(parameter.Argument, out JsonElement value) || value.ValueKind == JsonValueKind.Null) continue;
            switch (parameter.In)
            {
                case "path":
                    string segment = Uri.EscapeDataString(Joined(parameter, value));
                    // It would be taken for a way up, or for no segment at all.
                    if (segment is "" or "." or "..") throw new ToolException($"'{parameter.Argument}' cannot be '{segment}'.");
                    url = url.Replace($"{{{parameter.Name}}}", segment, StringComparison.Ordinal);
                    break;
                case "query":
                    foreach ((string name, string text) in Pairs(parameter, value)) query.Append(query.Length == 0 ? '?' : '&').Append(Uri.EscapeDataString(name)).Append('=').Append(Uri.EscapeDataString(text));
                    break;
                case "header":
                    headers.Add((parameter.Name, OneLine(parameter, Joined(parameter, value))));
                    break;
                default:
                    cookies.Add($"{parameter.Name}={Uri.EscapeDataString(Joined(parameter, value))}");
                    break;
            }
        }
        var request = new HttpRequestMessage(new HttpMethod(operation.Method), new Uri(url + query));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("*/*", 0.1));
        request.Headers.TryAddWithoutValidation("User-Agent", "maap-agent");
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        if (cookies.Count > 0) request.Headers.TryAddWithoutValidation("Cookie", string.Join("; ", cookies));
        if (operation.IdempotencyHeader is { } header)
        {
            request.Headers.Remove(header);
            request.Headers.TryAddWithoutValidation(header, idempotencyKey);
        }
        if (operation.BodyArgument is { } argument && arguments.TryGetProperty(argument, out JsonElement body)) request.Content = Content(operation.BodyType!, body);
        return request;
    }

    private static HttpContent Content(string type, JsonElement body)
    {
        if (IsJson(type)) return Typed(body.GetRawText(), type);
        if (type.StartsWith("text/", StringComparison.OrdinalIgnoreCase)) return Typed(body.GetString()!, type);
        if (body.ValueKind != JsonValueKind.Object) throw new ToolException("The body must be an object.");
        return new FormUrlEncodedContent(body.EnumerateObject().SelectMany(p => Pairs(new HttpParameter(p.Name, p.Name, "query", true, ",", false), p.Value)).Select(p => KeyValuePair.Create(p.Name, p.Text)));
    }

    private static ByteArrayContent Typed(string text, string type)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        return content;
    }

    private static IEnumerable<(string Name, string Text)> Pairs(HttpParameter parameter, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Array && parameter.Explode) return value.EnumerateArray().Select(item => (parameter.Name, Scalar(item)));
        if (value.ValueKind == JsonValueKind.Object && parameter.Deep) return value.EnumerateObject().Select(p => ($"{parameter.Name}[{p.Name}]", Scalar(p.Value)));
        if (value.ValueKind == JsonValueKind.Object && parameter.Explode) return value.EnumerateObject().Select(p => (p.Name, Scalar(p.Value)));
        return [(parameter.Name, Joined(parameter, value))];
    }

    private static string Joined(HttpParameter parameter, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => string.Join(parameter.Separator, value.EnumerateArray().Select(Scalar)),
        JsonValueKind.Object => string.Join(parameter.Separator, value.EnumerateObject().Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}{(parameter.Explode ? "=" : parameter.Separator)}{Scalar(p.Value)}"))),
        _ => Scalar(value),
    };

    private static string Scalar(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();

    private static string OneLine(HttpParameter parameter, string value) =>
        value.AsSpan().IndexOfAny('\r', '\n', '\0') < 0 ? value : throw new ToolException($"'{parameter.Argument}' must be one line.");
}
