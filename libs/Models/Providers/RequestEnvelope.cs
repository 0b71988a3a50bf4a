using System.Text.Json;
using System.Text.Unicode;

namespace MultiAgent.Models.Providers;

/// <summary>
/// The few members of a request that decide where it goes, found in one pass over the bytes, with their positions. All
/// else in the body stays untouched bytes.
/// </summary>
public sealed class RequestEnvelope
{
    private const int MaxUser = 256;

    /// <summary>The requested model's name.</summary>
    public required string Model { get; init; }

    public bool Stream { get; init; }

    /// <summary>The client set <c>stream_options.include_usage</c>.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>Position and length of the value of <c>model</c>, quotes included.</summary>
    public required (int Start, int Length) ModelSpan { get; init; }

    /// <summary>Position and length of the value of <c>stream_options</c>; length 0 when it is absent.</summary>
    public (int Start, int Length) StreamOptionsSpan { get; init; }

    /// <summary>Position just after the opening brace of the body.</summary>
    public int ObjectStart { get; init; }

    /// <summary>Number of messages (chat) or inputs (embeddings); 0 when the member is absent or not an array.</summary>
    public int ItemCount { get; init; }

    /// <summary>Whether <c>messages</c> (chat) or <c>input</c> (embeddings) is there.</summary>
    public bool HasInput { get; init; }

    /// <summary>The client's opaque end-user id (<c>user</c>, or <c>safety_identifier</c>), for journeys; null when absent.</summary>
    public string? User { get; init; }

    /// <summary>
    /// Reads the envelope from untrusted bytes. The whole body is validated as JSON of at most
    /// <paramref name="maxDepth"/> levels on the way.
    /// </summary>
    /// <exception cref="EnvelopeException">The body is no JSON object, or a member has the wrong type.</exception>
    public static RequestEnvelope Parse(ReadOnlySpan<byte> body, ModelOperation operation, int maxDepth = 64)
    {
        // The reader looks at the text of the members that it reads only; the provider would get the rest as it is.
        if (!Utf8.IsValid(body)) throw new EnvelopeException("The body is not valid UTF-8.", null);
        string? model = null, user = null;
        bool stream = false, includeUsage = false, hasInput = false;
        (int, int) modelSpan = default, optionsSpan = default;
        int objectStart = 0, items = 0;
        ReadOnlySpan<byte> input = operation == ModelOperation.Chat ? "messages"u8 : "input"u8;
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = maxDepth });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw new EnvelopeException("The body must be a JSON object.", null);
            objectStart = (int)reader.BytesConsumed;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("model"u8))
                {
                    // Two of them could name one model to the price list and another to the provider.
                    if (model is not null) throw new EnvelopeException("'model' is there twice.", "model");
                    reader.Read();
                    if (reader.TokenType != JsonTokenType.String) throw new EnvelopeException("'model' must be a string.", "model");
                    model = reader.GetString();
                    modelSpan = ((int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex));
                }
                else if (reader.ValueTextEquals("stream"u8))
                {
                    reader.Read();
                    stream = reader.TokenType switch
                    {
                        JsonTokenType.True => true,
                        JsonTokenType.False or JsonTokenType.Null => false,
                        _ => throw new EnvelopeException("'stream' must be a boolean.", "stream"),
                    };
                }
                else if (reader.ValueTextEquals("stream_options"u8))
                {
                    if (optionsSpan != default) throw new EnvelopeException("'stream_options' is there twice.", "stream_options");
                    reader.Read();
                    int start = (int)reader.TokenStartIndex;
                    if (reader.TokenType == JsonTokenType.StartObject) includeUsage = ReadIncludeUsage(ref reader);
                    else if (reader.TokenType != JsonTokenType.Null) throw new EnvelopeException("'stream_options' must be an object.", "stream_options");
                    optionsSpan = (start, (int)reader.BytesConsumed - start);
                }
                else if (reader.ValueTextEquals(input))
                {
                    reader.Read();
                    hasInput = reader.TokenType != JsonTokenType.Null;
                    if (reader.TokenType == JsonTokenType.StartArray) items = CountItems(ref reader);
                    else if (operation == ModelOperation.Chat) throw new EnvelopeException("'messages' must be an array.", "messages");
                    else if (reader.TokenType == JsonTokenType.StartObject) throw new EnvelopeException("'input' must be a text or an array.", "input");
                }
                else if (reader.ValueTextEquals("user"u8) || reader.ValueTextEquals("safety_identifier"u8))
                {
                    reader.Read();
                    // An id; what is longer than any is cut, since it goes into journeys.
                    if (reader.TokenType == JsonTokenType.String) user = reader.GetString() is { Length: > MaxUser } tooLong ? tooLong[..MaxUser] : reader.GetString();
                    else reader.Skip();
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
            if (reader.Read()) throw new EnvelopeException("There is text after the JSON object.", null);
        }
        catch (JsonException e)
        {
            bool deep = e.Message.Contains("depth", StringComparison.OrdinalIgnoreCase);
            throw new EnvelopeException(deep
                ? $"The body is nested deeper than {maxDepth} levels."
                : $"The body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).", null) { TooDeep = deep };
        }
        catch (InvalidOperationException)
        {
            // GetString on bytes that are not UTF-8
            throw new EnvelopeException("The body is not valid UTF-8.", null);
        }
        if (string.IsNullOrEmpty(model)) throw new EnvelopeException("'model' is required.", "model");
        return new RequestEnvelope
        {
            Model = model,
            ModelSpan = modelSpan,
            Stream = stream,
            IncludeUsage = includeUsage,
            StreamOptionsSpan = optionsSpan,
            ObjectStart = objectStart,
            ItemCount = items,
            HasInput = hasInput,
            User = user,
        };
    }

    private static bool ReadIncludeUsage(ref Utf8JsonReader reader)
    {
        bool include = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isIncludeUsage = reader.ValueTextEquals("include_usage"u8);
            reader.Read();
            if (isIncludeUsage) include = reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }
        return include;
    }

    private static int CountItems(ref Utf8JsonReader reader)
    {
        int count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            count++;
            reader.Skip();
        }
        return count;
    }
}

/// <summary>A request body cannot be used; the message is for the client.</summary>
public sealed class EnvelopeException(string message, string? param) : Exception(message)
{
    /// <summary>The member at fault; null for the body as a whole.</summary>
    public string? Param { get; } = param;

    public bool TooDeep { get; init; }
}
