//! Files that schemas import without a reference, since registries have them built in. Those of `google/protobuf` are
//! protox's.

use protox::file::{File, FileResolver};

pub(super) struct Bundled;

impl FileResolver for Bundled {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = match name {
            "google/type/date.proto" => DATE,
            "google/type/timeofday.proto" => TIME_OF_DAY,
            "google/type/money.proto" => MONEY,
            "google/type/latlng.proto" => LAT_LNG,
            "google/type/decimal.proto" => TEXT_DECIMAL,
            "confluent/type/decimal.proto" => DECIMAL,
            "confluent/meta.proto" => META,
            _ => return Err(protox::Error::file_not_found(name)),
        };
        File::from_source(name, text)
    }
}

const DATE: &str = r#"syntax = "proto3"; package google.type;
message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"#;

const TIME_OF_DAY: &str = r#"syntax = "proto3"; package google.type;
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"#;

const MONEY: &str = r#"syntax = "proto3"; package google.type;
message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"#;

const LAT_LNG: &str = r#"syntax = "proto3"; package google.type;
message LatLng { double latitude = 1; double longitude = 2; }"#;

const TEXT_DECIMAL: &str = r#"syntax = "proto3"; package google.type;
message Decimal { string value = 1; }"#;

const DECIMAL: &str = r#"syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#;

const META: &str = r#"syntax = "proto3"; package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"#;
