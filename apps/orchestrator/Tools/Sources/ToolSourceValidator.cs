using System.Text.Json;
using System.Text.RegularExpressions;
using MultiAgent.Orchestrator.Tools.Sources.Mcp;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>Checks a source of tools and reports everything that is wrong with it.</summary>
internal sealed partial class ToolSourceValidator(OperatorSources operators)
{
    // They would change where a request goes, how it is framed, or speak in the platform's name.
    private static readonly HashSet<string> RefusedHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Expect", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Mcp-Session-Id", "MCP-Protocol-Version",
    };

    /// <param name="spec">Untrusted.</param>
    /// <param name="isNew">Its document is required.</param>
    public IReadOnlyDictionary<string, string[]> Check(ToolSourceSpec spec, bool isNew)
    {
        var errors = new Dictionary<string, List<string>>();
        if (!ToolNames.IsSlug(spec.Slug)) Add("slug", "is required: lower-case letters, digits and dashes, at most 32, beginning with a letter or digit.");
        else if (ToolNames.Reserved.Contains(spec.Slug) || operators.IsTaken(spec.Slug!)) Add("slug", $"'{spec.Slug}' is taken by the platform.");
        if (spec.Name?.Length > 200) Add("name", "may have 200 characters.");
        if (spec.Description?.Length > 2000) Add("description", "may have 2000 characters.");
        if (spec.Kind is not (ToolSourceSpec.OpenApiKind or ToolSourceSpec.McpKind)) Add("kind", "must be 'openapi' or 'mcp'.");
        if (spec.Kind == ToolSourceSpec.OpenApiKind) OpenApi();
        else if (spec.OpenApi is not null) Add("openApi", "goes with the kind 'openapi'.");
        if (spec.Kind == ToolSourceSpec.McpKind) Mcp();
        else if (spec.Mcp is not null) Add("mcp", "goes with the kind 'mcp'.");
        Auth(spec.Auth);
        Range("limits.timeoutSeconds", spec.Limits?.TimeoutSeconds, 0.1, 300);
        Range("limits.maxAttempts", spec.Limits?.MaxAttempts, 1, 5);
        Range("limits.maxConcurrent", spec.Limits?.MaxConcurrent, 1, 256);
        Range("limits.maxResultBytes", spec.Limits?.MaxResultBytes, 1024, 4 * 1024 * 1024);
        Range("costUsd", (double?)spec.CostUsd, 0, 1000);
        return errors.ToDictionary(e => e.Key, e => e.Value.ToArray());

        void Add(string member, string message)
        {
            if (!errors.TryGetValue(member, out List<string>? list)) errors[member] = list = [];
            list.Add(message);
        }

        void Range(string member, double? value, double least, double most)
        {
            if (value is { } number && !(number >= least && number <= most)) Add(member, $"must be between {least} and {most}.");
        }

        void Address(string member, string? url)
        {
            if (url is null || url.Length > 2048 || !Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
                Add(member, "must be an absolute http or https URL without user name, password and fragment, of at most 2048 characters.");
        }

        void Names(string member, IReadOnlyList<string>? names)
        {
            if (names is { } list && (list.Count is 0 or > 500 || list.Any(n => string.IsNullOrEmpty(n) || n.Length > 256))) Add(member, "must be 1 to 500 names.");
        }

        void OpenApi()
        {
            if (spec.OpenApi is not { } api)
            {
                Add("openApi", "is required.");
                return;
            }
            if (api.Document is not null && api.DocumentUrl is not null) Add("openApi.document", "and 'documentUrl' exclude each other.");
            if (isNew && api.Document is null && api.DocumentUrl is null) Add("openApi.document", "or 'openApi.documentUrl' is required.");
            if (api.Document is { ValueKind: not (JsonValueKind.Object or JsonValueKind.String) }) Add("openApi.document", "must be an object, or text in JSON or YAML.");
            if (api.DocumentUrl is not null) Address("openApi.documentUrl", api.DocumentUrl);
            if (api.ServerUrl is not null) Address("openApi.serverUrl", api.ServerUrl);
            Names("openApi.operations", api.Operations);
            if (api.IdempotencyHeader is { } header && (!HeaderName().IsMatch(header) || RefusedHeaders.Contains(header))) Add("openApi.idempotencyHeader", "must be the name of a header, e.g. 'Idempotency-Key'.");
        }

        void Mcp()
        {
            Address("mcp.url", spec.Mcp?.Url);
            Names("mcp.tools", spec.Mcp?.Tools);
        }

        void Auth(SourceAuth? auth)
        {
            if (auth?.Headers is { } headers)
            {
                if (headers.Count > 16) Add("auth.headers", "may have 16 entries.");
                foreach ((string name, string value) in headers)
                {
                    if (!HeaderName().IsMatch(name) || RefusedHeaders.Contains(name)) Add("auth.headers", $"'{name}' cannot be set.");
                    if (string.IsNullOrEmpty(value) || value.Length > 8192 || value.AsSpan().IndexOfAnyInRange('\0', '\u001f') >= 0) Add("auth.headers", $"'{name}' must have a value of one line, of at most 8192 characters.");
                }
            }
            if (auth?.OAuth is not { } oauth) return;
            Address("auth.oauth.tokenUrl", oauth.TokenUrl);
            if (string.IsNullOrEmpty(oauth.ClientId) || oauth.ClientId.Length > 512) Add("auth.oauth.clientId", "is required, and may have 512 characters.");
            if ((isNew && string.IsNullOrEmpty(oauth.ClientSecret)) || oauth.ClientSecret?.Length > 8192) Add("auth.oauth.clientSecret", "is required, and may have 8192 characters.");
            if (oauth.Scope?.Length > 2048) Add("auth.oauth.scope", "may have 2048 characters.");
            if (oauth.Resource is not null) Address("auth.oauth.resource", oauth.Resource);
            if (auth.Headers?.Keys.Contains("Authorization", StringComparer.OrdinalIgnoreCase) == true) Add("auth.headers", "'Authorization' is what 'oauth' sends.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")]
    private static partial Regex HeaderName();
}
