using System.Text.Json;
using static MultiAgent.Orchestrator.Responses.ResponseRequest;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Parts of a user's message in the chat-completions dialect.</summary>
internal static class InputParts
{
    /// <param name="json">Where to.</param>
    /// <param name="part">Untrusted.</param>
    /// <param name="at">The part's place, for errors.</param>
    public static void Write(Utf8JsonWriter json, JsonElement part, string at)
    {
        if (part.ValueKind != JsonValueKind.Object) throw Invalid($"{at} must be an object.", at);
        json.WriteStartObject();
        switch (part.Text("type"))
        {
            case "input_text" or "output_text" or "text":
                json.WriteString("type"u8, "text"u8);
                json.WriteString("text"u8, part.Text("text") ?? throw Invalid($"{at} has no 'text'.", $"{at}.text"));
                break;
            case "input_image":
                json.WriteString("type"u8, "image_url"u8);
                json.WriteStartObject("image_url"u8);
                json.WriteString("url"u8, part.Text("image_url") ?? throw Invalid($"{at} needs an 'image_url': there are no uploaded files here.", $"{at}.image_url"));
                if (part.Text("detail") is { } detail) json.WriteString("detail"u8, detail);
                json.WriteEndObject();
                break;
            case "input_file":
                json.WriteString("type"u8, "file"u8);
                json.WriteStartObject("file"u8);
                json.WriteString("file_data"u8, part.Text("file_data") ?? throw Invalid($"{at} needs its 'file_data': there are no uploaded files here.", $"{at}.file_data"));
                if (part.Text("filename") is { } name) json.WriteString("filename"u8, name);
                json.WriteEndObject();
                break;
            case "input_audio":
                json.WriteString("type"u8, "input_audio"u8);
                json.WritePropertyName("input_audio"u8);
                (part.Member("input_audio") ?? throw Invalid($"{at} has no 'input_audio'.", $"{at}.input_audio")).WriteTo(json);
                break;
            case var type:
                throw Invalid($"{at}: parts of type '{type}' are not supported here.", $"{at}.type");
        }
        json.WriteEndObject();
    }
}
