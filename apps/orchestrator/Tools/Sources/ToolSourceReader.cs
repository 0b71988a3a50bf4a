using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.DataProtection;
using MultiAgent.Orchestrator.Tools.Sources.Mcp;
using MultiAgent.Orchestrator.Tools.Sources.OpenApi;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>Makes sources of what is stored, and reads what they offer.</summary>
internal sealed class ToolSourceReader
{
    private readonly Dictionary<string, ISourceCalls> _calls;
    private readonly SourcePipelines _pipelines;
    private readonly IDataProtectionProvider _protection;
    private readonly SourceHttp _http;
    private readonly McpImport _mcp;
    private readonly TimeProvider _time;

    public ToolSourceReader(IEnumerable<ISourceCalls> calls, SourcePipelines pipelines, IDataProtectionProvider protection, SourceHttp http, McpImport mcp, TimeProvider time)
    {
        _calls = calls.ToDictionary(c => c.Kind, StringComparer.Ordinal);
        _pipelines = pipelines;
        _protection = protection;
        _http = http;
        _mcp = mcp;
        _time = time;
    }

    public ToolSource Load(ToolSourceEntity entity)
    {
        SourceSecrets secrets = entity.Secrets is { } encrypted ? Decrypt(entity.TenantId, encrypted) : new SourceSecrets(null, null);
        ToolSourceSpec spec = JsonSerializer.Deserialize(entity.Definition, ToolSourceJson.Default.ToolSourceSpec)!;
        return Make(entity.Id, entity.TenantId, spec, secrets, JsonSerializer.Deserialize(entity.Tools, ToolSourceJson.Default.IReadOnlyListImportedTool)!);
    }

    public ToolSource Make(string id, string tenantId, ToolSourceSpec spec, SourceSecrets secrets, IReadOnlyList<ImportedTool> tools, StdioServerOptions? command = null)
    {
        string parts = JsonSerializer.Serialize(spec, ToolSourceJson.Default.ToolSourceSpec) + JsonSerializer.Serialize(secrets, ToolSourceJson.Default.SourceSecrets);
        ISourceCalls calls = _calls[spec.Kind!];
        return new ToolSource(id, tenantId, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(parts))), spec, secrets, tools, (source, tool) => new SourceTool(source, tool, calls, _pipelines, _time)) { Command = command };
    }

    /// <summary>What a source offers; null when nothing says where that can be read anew.</summary>
    /// <param name="source">The source, whatever tools it has.</param>
    /// <param name="document">The document that came with the request.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="SourceReadException">It cannot be read.</exception>
    public async Task<SourceReading?> ReadAsync(ToolSource source, JsonElement? document, CancellationToken cancellationToken)
    {
        if (source.Spec.Kind == ToolSourceSpec.McpKind) return await _mcp.ReadAsync(source, cancellationToken);
        OpenApiSpec spec = source.Spec.OpenApi!;
        string? text = document is { } given ? given.ValueKind == JsonValueKind.String ? given.GetString() : given.GetRawText()
            : spec.DocumentUrl is { } url ? await _http.GetTextAsync(url, OpenApiReader.MaxBytes, cancellationToken) : null;
        return text is null ? null : OpenApiImport.Read(await OpenApiReader.ReadAsync(text, cancellationToken), spec);
    }

    public byte[]? Encrypt(string tenantId, SourceSecrets secrets) => secrets is { Headers: null, ClientSecret: null } ? null
        : Protector(tenantId).Protect(JsonSerializer.SerializeToUtf8Bytes(secrets, ToolSourceJson.Default.SourceSecrets));

    private SourceSecrets Decrypt(string tenantId, byte[] encrypted) => JsonSerializer.Deserialize(Protector(tenantId).Unprotect(encrypted), ToolSourceJson.Default.SourceSecrets)!;

    // One tenant's secrets are no use in another one's row.
    private IDataProtector Protector(string tenantId) => _protection.CreateProtector("orchestrator.tool-sources", tenantId);
}
