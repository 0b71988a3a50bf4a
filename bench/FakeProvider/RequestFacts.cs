using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Bench.FakeProvider;

/// <summary>The few fields of a request that change the answer.</summary>
internal readonly record struct RequestFacts(bool Stream, bool IncludeUsage, bool Base64, int Inputs)
{
    public static RequestFacts Read(ReadOnlySequence<byte> body)
    {
        var reader = new Utf8JsonReader(body);
        var (stream, usage, base64, inputs) = (false, false, false, 1);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("stream"u8))
            {
                reader.Read();
                stream = reader.TokenType == JsonTokenType.True;
            }
            else if (reader.ValueTextEquals("stream_options"u8))
            {
                reader.Read();
                usage = ReadIncludeUsage(ref reader);
            }
            else if (reader.ValueTextEquals("encoding_format"u8))
            {
                reader.Read();
                base64 = reader.ValueTextEquals("base64"u8);
            }
            else if (reader.ValueTextEquals("input"u8))
            {
                reader.Read();
                inputs = CountInputs(ref reader);
            }
            else
                reader.Skip();
        }
        return new RequestFacts(stream, usage, base64, inputs);
    }

    private static bool ReadIncludeUsage(ref Utf8JsonReader reader)
    {
        var found = false;
        while (reader.TokenType != JsonTokenType.Null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isUsage = reader.ValueTextEquals("include_usage"u8);
            reader.Read();
            found |= isUsage && reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }
        return found;
    }

    private static int CountInputs(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            return 1;
        var (count, numbers) = (0, false);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            numbers |= reader.TokenType == JsonTokenType.Number; // an array of token ids is one input
            reader.Skip();
            count++;
        }
        return numbers ? 1 : count;
    }
}
