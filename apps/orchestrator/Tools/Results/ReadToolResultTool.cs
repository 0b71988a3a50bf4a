using System.Globalization;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Results;

/// <summary>Reads on in a result that was larger than what a model gets. Agents whose tools may give such have it without listing it.</summary>
internal sealed class ReadToolResultTool(ToolResults results) : ITool
{
    public const string ToolName = "read_tool_result";
    private const int PageBytes = 48 * 1024;

    public string Name => ToolName;

    public string Description => "Reads on in the result of a tool that was too large to be given whole. The cut result names the id and the offset.";

    public string ParametersSchema => """
        {"type":"object","properties":{
        "id":{"type":"string","description":"Id of the result, from the note at its end.","maxLength":64},
        "offset":{"type":"integer","description":"Byte to read on from.","minimum":0}},
        "required":["id"],"additionalProperties":false}
        """;

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.None;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        int offset = arguments.TryGetProperty("offset", out JsonElement given) && given.TryGetDouble(out double number) ? (int)Math.Min(number, int.MaxValue) : 0;
        if (await results.ReadAsync(context.TenantId, arguments.GetProperty("id").GetString()!, offset, PageBytes, cancellationToken) is not { } page)
            throw new ToolException("There is no result with this id.");
        if (page.Offset >= page.Bytes) throw new ToolException($"The result has {page.Bytes} bytes; there is nothing at {offset}.");
        return page.NextOffset is { } next
            ? string.Create(CultureInfo.InvariantCulture, $"{page.Text}\n[bytes {page.Offset} to {next} of {page.Bytes}; read on with offset {next}]")
            : page.Text;
    }
}
