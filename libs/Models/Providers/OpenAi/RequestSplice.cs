using System.Text;
using System.Text.Json;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers.OpenAi;

/// <summary>
/// Changes the two members of a request that must change, and nothing else: <c>model</c> becomes the deployment's name, and
/// a stream asks for its usage. The rest of the body goes out as the bytes that came in.
/// </summary>
internal sealed class RequestSplice
{
    private static readonly JsonEncodedText IncludeUsage = JsonEncodedText.Encode("include_usage");

    private readonly string _model;
    private readonly byte[] _modelValue;
    private readonly byte[] _modelValueWithOptions;

    public RequestSplice(string upstreamModel)
    {
        _model = upstreamModel;
        string value = $"\"{JsonEncodedText.Encode(upstreamModel)}\"";
        _modelValue = Encoding.UTF8.GetBytes(value);
        _modelValueWithOptions = Encoding.UTF8.GetBytes(value + ",\"stream_options\":{\"include_usage\":true}");
    }

    public RequestBody Apply(ReadOnlyMemory<byte> body, RequestEnvelope envelope)
    {
        bool askForUsage = envelope.Stream && !envelope.IncludeUsage;
        if (askForUsage && envelope.StreamOptionsSpan.Length > 0)
        {
            body = WithIncludeUsage(body, envelope, out int shift);
            (int start, int length) = envelope.ModelSpan;
            if (start > envelope.StreamOptionsSpan.Start) start += shift;
            return Replace(body, start, length, _modelValue);
        }
        if (!askForUsage && envelope.Model == _model) return new RequestBody(body);
        return Replace(body, envelope.ModelSpan.Start, envelope.ModelSpan.Length, askForUsage ? _modelValueWithOptions : _modelValue);
    }

    private static RequestBody Replace(ReadOnlyMemory<byte> body, int start, int length, byte[] value) =>
        new(body[..start], value, body[(start + length)..]);

    // The client sent stream_options without include_usage: keep its other members.
    private static ReadOnlyMemory<byte> WithIncludeUsage(ReadOnlyMemory<byte> body, RequestEnvelope envelope, out int shift)
    {
        (int start, int length) = envelope.StreamOptionsSpan;
        using var output = new MemoryStream(body.Length + 32);
        output.Write(body[..start].Span);
        using (var json = new Utf8JsonWriter(output))
        using (JsonDocument options = JsonDocument.Parse(body.Slice(start, length)))
        {
            json.WriteStartObject();
            json.WriteBoolean(IncludeUsage, true);
            if (options.RootElement.ValueKind == JsonValueKind.Object)
            {
                foreach (JsonProperty property in options.RootElement.EnumerateObject())
                    if (!property.NameEquals("include_usage"u8)) property.WriteTo(json);
            }
            json.WriteEndObject();
        }
        shift = (int)output.Length - start - length;
        output.Write(body[(start + length)..].Span);
        return output.ToArray();
    }
}
