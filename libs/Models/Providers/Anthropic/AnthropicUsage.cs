using System.Text.Json;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>Gathers usage as it is reported: whole in an answer, in cumulative pieces in a stream.</summary>
internal struct AnthropicUsage
{
    private long _plainInput, _cacheRead, _cacheWrite, _output;

    /// <summary>Takes what a <c>usage</c> object says; what it leaves out keeps its value.</summary>
    public void Add(JsonElement usage)
    {
        _plainInput = usage.Whole("input_tokens"u8) ?? _plainInput;
        _cacheRead = usage.Whole("cache_read_input_tokens"u8) ?? _cacheRead;
        _cacheWrite = usage.Whole("cache_creation_input_tokens"u8) ?? _cacheWrite;
        _output = usage.Whole("output_tokens"u8) ?? _output;
    }

    /// <summary>Anthropic counts cached tokens beside the input, OpenAI (and we) within it.</summary>
    public readonly TokenUsage ToTokenUsage() => new(_plainInput + _cacheRead + _cacheWrite, _output, _cacheRead, _cacheWrite);
}
